"""A protector's search space: its domains, the point to start from, and what depends on what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from search_spaces.ranges import Choice, Domain, Value

CUT_POINT = "model.cut_point"
CUT_POINTS = Choice(
    ("conv1", "conv2", "conv3", "conv4", "avgpool", "fc",
     "pool1", "pool2", "pool3", "pool4", "pool5",
     "code")
)  # fmt: skip
"""The cut points of every backbone, each backbone's from shallow to deep: Xiao's Table 3,
DeepObfuscator's Table 1, Pittaluga's section 3.1. A study chooses among its own backbone's."""
PREFERRED_CUTS = ("conv4", "pool2", "code")
"""Where the first encoder is cut: the first of these that there is, else the deepest cut. `pool2`
and `code` are the papers'; a ResNet's `conv4` keeps some room between use and leakage, while its
paper's `fc` leaves little to defend (Xiao, Table 3)."""


def default_cut(cut_points: Sequence[str]) -> str:
    """Where the first encoder is cut among these, shallow to deep."""
    return next((name for name in PREFERRED_CUTS if name in cut_points), cut_points[-1])


@dataclass(frozen=True)
class SearchSpace:
    """What is searched, under dotted names such as `model.cut_point` or `protector.lambda1`.

    Attributes:
        domains: What each name may be, in the order in which Optuna is asked. Without
            `model.cut_point` the encoder is no part of the backbone, and nothing is cut.
        default: A value for every name; the first point that is tried. The cut point's is replaced
            where the backbone has another one (`default_cut`).
        only_at: Names that mean something at one cut point only: `{name: cut point}`. They are
            proposed there and nowhere else.
        below: Names whose choices must stay below another setting: `{name: setting}`. Choices of
            the space's own that do not are left out.
        only_with: Names that weigh nothing while a switch is off: `{name: switch}`. They are
            proposed where it is on; a switch stands before its names in `domains`.
    """

    domains: Mapping[str, Domain]
    default: Mapping[str, Value]
    only_at: Mapping[str, str] = field(default_factory=dict)
    below: Mapping[str, str] = field(default_factory=dict)
    only_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_cut(self) -> bool:
        """Whether it makes a difference where the backbone is cut."""
        return CUT_POINT in self.domains

    def resolve(
        self,
        given: Mapping[str, Value | Domain],
        cut_points: Sequence[str],
        limits: Mapping[str, float] | None = None,
    ) -> "ResolvedSpace":
        """Lays what a user gave over the space.

        Args:
            given: Fixed values, or domains that replace the space's own.
            cut_points: The cut points to choose among where none is given.
            limits: Values of the settings named in `below`.

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
            own = _kept_below(own, (limits or {}).get(self.below.get(name, "")))
            value = given.get(name, own)
            if isinstance(value, Domain):
                domains[name] = value
            else:
                fixed[name] = value
        default = dict(self.default)
        reachable: Sequence[Value] = ()
        if self.has_cut:
            at = domains.get(CUT_POINT)
            reachable = at.ends() if at else [fixed[CUT_POINT]]
            default[CUT_POINT] = default_cut([str(name) for name in reachable])
        for name, cut_point in self.only_at.items():
            if cut_point not in reachable:
                domains.pop(name, None)
                fixed.pop(name, None)
        for name, switch in self.only_with.items():
            if fixed.get(switch, True) is False:
                domains.pop(name, None)
                fixed.pop(name, None)
        return ResolvedSpace(domains, fixed, default, dict(self.only_at), dict(self.only_with))


@dataclass(frozen=True)
class ResolvedSpace:
    """A search space with a study's fixed values, choices and ranges laid over it.

    Attributes:
        domains: What is still searched.
        fixed: What is not, with its value.
        default: The space's own default for every name.
        only_at: As in `SearchSpace`.
        only_with: As in `SearchSpace`.
    """

    domains: Mapping[str, Domain]
    fixed: Mapping[str, Value]
    default: Mapping[str, Value]
    only_at: Mapping[str, str]
    only_with: Mapping[str, str] = field(default_factory=dict)

    def suggest(
        self, trial: optuna.trial.BaseTrial, parameters: Mapping[str, str] | None = None
    ) -> dict[str, Value]:
        """Asks Optuna for a point; fixed values are part of it.

        Args:
            trial: Optuna's trial.
            parameters: Optuna's name for a name of ours, where it has another one.
        """
        called = parameters or {}
        point = dict(self.fixed)
        for name, domain in self._ordered():
            if self._applies(name, point):
                point[name] = domain.suggest(trial, called.get(name, name))
        return point

    def default_point(self) -> dict[str, Value]:
        """The default brought into what was given: the first searched encoder."""
        trial = optuna.trial.FixedTrial(self.default_parameters())
        return self.suggest(trial)

    def default_parameters(self, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The default point as Optuna parameters, to be enqueued; `parameters` as in `suggest`."""
        called = parameters or {}
        point = dict(self.fixed)
        encoded: dict[str, Any] = {}
        for name, domain in self._ordered():
            if not self._applies(name, point):
                continue
            parameter = called.get(name, name)
            value = domain.encode(parameter, self.default[name])
            encoded |= value
            point[name] = domain.suggest(optuna.trial.FixedTrial(value), parameter)
        return encoded

    def searched(self) -> list[str]:
        """The names that Optuna is asked for: those with more than one value."""
        return [
            name
            for name, domain in self.domains.items()
            if not (isinstance(domain, Choice) and len(domain.values) == 1)
        ]

    def cut_points(self) -> tuple[str, ...]:
        """The cut points an encoder of this study can have; none where nothing is cut."""
        domain = self.domains.get(CUT_POINT)
        if domain is not None:
            return tuple(str(value) for value in domain.ends())
        return (str(self.fixed[CUT_POINT]),) if CUT_POINT in self.fixed else ()

    def _ordered(self) -> Iterator[tuple[str, Domain]]:
        """The cut point first: what else is asked may depend on it."""
        yield from sorted(self.domains.items(), key=lambda item: item[0] != CUT_POINT)

    def _applies(self, name: str, point: Mapping[str, Value]) -> bool:
        at_its_cut = name not in self.only_at or point[CUT_POINT] == self.only_at[name]
        return at_its_cut and point.get(self.only_with.get(name, ""), True) is not False


def _kept_below(domain: Domain, limit: float | None) -> Domain:
    """Leaves out the choices that are not below a limit, but never all of them."""
    if limit is None or not isinstance(domain, Choice):
        return domain
    kept = tuple(value for value in domain.values if float(value) < limit)
    return Choice(kept or domain.values[:1])
