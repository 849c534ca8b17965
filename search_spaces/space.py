"""A protector's search space: its domains, the point to start from, and what depends on what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from search_spaces.ranges import Choice, Domain, Value

CUT_POINT = "model.cut_point"


@dataclass(frozen=True)
class SearchSpace:
    """What is searched, under dotted names such as `model.cut_point` or `protector.lambda1`.

    Attributes:
        domains: What each name may be, in the order in which Optuna is asked.
        default: A value for every name; the first point that is tried.
        only_at: Names that mean something at one cut point only: `{name: cut point}`. They are
            proposed there and nowhere else.
    """

    domains: Mapping[str, Domain]
    default: Mapping[str, Value]
    only_at: Mapping[str, str] = field(default_factory=dict)

    def resolve(
        self, given: Mapping[str, Value | Domain], cut_points: Sequence[str]
    ) -> "ResolvedSpace":
        """Lays what a user gave over the space.

        Args:
            given: Fixed values, or domains that replace the space's own.
            cut_points: The cut points to choose among where none is given.

        Raises:
            ValueError: If a name is not searched.
        """
        unknown = sorted(set(given) - set(self.domains))
        if unknown:
            raise ValueError(f"not searched: {', '.join(unknown)}; searched: {list(self.domains)}")
        domains: dict[str, Domain] = {}
        fixed: dict[str, Value] = {}
        for name, own in self.domains.items():
            if name == CUT_POINT:
                own = Choice(tuple(cut_points))
            value = given.get(name, own)
            if isinstance(value, Domain):
                domains[name] = value
            else:
                fixed[name] = value
        at = domains.get(CUT_POINT)
        reachable = at.ends() if at else [fixed[CUT_POINT]]
        for name, cut_point in self.only_at.items():
            if cut_point not in reachable:
                domains.pop(name, None)
                fixed.pop(name, None)
        return ResolvedSpace(domains, fixed, dict(self.default), dict(self.only_at))


@dataclass(frozen=True)
class ResolvedSpace:
    """A search space with a study's fixed values, choices and ranges laid over it.

    Attributes:
        domains: What is still searched.
        fixed: What is not, with its value.
        default: The space's own default for every name.
        only_at: As in `SearchSpace`.
    """

    domains: Mapping[str, Domain]
    fixed: Mapping[str, Value]
    default: Mapping[str, Value]
    only_at: Mapping[str, str]

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
        """Asks Optuna for a point; fixed values are part of it."""
        point = dict(self.fixed)
        for name, domain in self._ordered():
            if self._applies(name, point):
                point[name] = domain.suggest(trial, name)
        return point

    def default_point(self) -> dict[str, Value]:
        """The default brought into what was given: the first searched encoder."""
        trial = optuna.trial.FixedTrial(self.default_parameters())
        return self.suggest(trial)

    def default_parameters(self) -> dict[str, Any]:
        """The default point as Optuna parameters, to be enqueued."""
        point = dict(self.fixed)
        parameters: dict[str, Any] = {}
        for name, domain in self._ordered():
            if not self._applies(name, point):
                continue
            encoded = domain.encode(name, self.default[name])
            parameters |= encoded
            point[name] = domain.suggest(optuna.trial.FixedTrial(encoded), name)
        return parameters

    def cut_points(self) -> tuple[str, ...]:
        """The cut points an encoder of this study can have."""
        domain = self.domains.get(CUT_POINT)
        values = domain.ends() if domain else [self.fixed[CUT_POINT]]
        return tuple(str(value) for value in values)

    def _ordered(self) -> Iterator[tuple[str, Domain]]:
        """The cut point first: what else is asked may depend on it."""
        yield from sorted(self.domains.items(), key=lambda item: item[0] != CUT_POINT)

    def _applies(self, name: str, point: Mapping[str, Value]) -> bool:
        return name not in self.only_at or point[CUT_POINT] == self.only_at[name]
