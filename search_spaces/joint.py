"""One search over several protectors: which one, and then that protector's own space."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from search_spaces.ranges import Value
from search_spaces.space import ResolvedSpace

PROTECTOR_NAME = "protector.name"


@dataclass(frozen=True)
class JointSpace:
    """The spaces of a study's protectors, in the order in which they were listed.

    With one protector, Optuna is asked what that protector's space asks. With several it first
    chooses `protector.name`, then asks for that protector's values: those of `model` are one
    parameter for all, so that what is learned of a cut serves every protector; those of
    `protector` are one parameter for each, called such as `protector.lambda1@obfuscator`: a weight
    of one method says nothing about another's, even where they share a letter.

    Attributes:
        spaces: Name of a protector → its space.
    """

    spaces: Mapping[str, ResolvedSpace]

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
        """Asks Optuna for a point; with several protectors it says of which, `protector.name`."""
        names = list(self.spaces)
        if len(names) == 1:
            return self.spaces[names[0]].suggest(trial)
        name = str(trial.suggest_categorical(PROTECTOR_NAME, names))
        return {PROTECTOR_NAME: name, **self.spaces[name].suggest(trial, self._parameters(name))}

    def default_parameters(self) -> list[dict[str, Any]]:
        """The default point of every protector as Optuna parameters, to be enqueued in order.

        Empty where nothing is searched.
        """
        if len(self.spaces) == 1:
            (space,) = self.spaces.values()
            parameters = space.default_parameters()
            return [parameters] if parameters else []
        return [
            {PROTECTOR_NAME: name, **space.default_parameters(self._parameters(name))}
            for name, space in self.spaces.items()
        ]

    def default_points(self) -> list[dict[str, Value]]:
        """The default point of every protector, in order."""
        if len(self.spaces) == 1:
            return [space.default_point() for space in self.spaces.values()]
        return [
            {PROTECTOR_NAME: name, **space.default_point()} for name, space in self.spaces.items()
        ]

    def _parameters(self, name: str) -> dict[str, str]:
        domains = self.spaces[name].domains
        return {key: f"{key}@{name}" for key in domains if key.startswith("protector.")}
