"""What one searched value may be: a range of floats or integers, or a list of choices.

Each domain knows how to ask Optuna for a value, how a value is written back as Optuna parameters
(to enqueue a point), and how it looks in YAML, where a user can write the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

Value = bool | int | float | str


@dataclass(frozen=True)
class Float:
    """A range of floats, ends included.

    Attributes:
        low: Lowest value.
        high: Highest value.
        log: Whether proposals are uniform in the logarithm; needs `low` above 0.
        or_zero: Whether the value may also be exactly 0, a switch of its own: a logarithmic range
            cannot reach 0, and "without this term" is a different method, not a small weight.

    Raises:
        ValueError: If the range is empty, not finite, or logarithmic from 0 or below.
    """

    low: float
    high: float
    log: bool = False
    or_zero: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> float:
        """Asks Optuna for a value."""
        if self.or_zero and not trial.suggest_categorical(_switch(name), [False, True]):
            return 0.0
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def encode(self, name: str, value: Value) -> dict[str, Any]:
        """Returns the Optuna parameters of the allowed value nearest to `value`."""
        number = float(value)
        switch = {_switch(name): number != 0} if self.or_zero else {}
        if self.or_zero and number == 0:
            return switch
        return {**switch, name: min(self.high, max(self.low, number))}

    def ends(self) -> list[Value]:
        """Values that must be valid for the whole domain to be."""
        return [self.low, self.high, *([0.0] if self.or_zero else [])]

    def dump(self) -> dict[str, Value]:
        """The domain as it is written in YAML."""
        flags: dict[str, Value] = {"log": self.log, "or_zero": self.or_zero}
        return {
            "low": self.low,
            "high": self.high,
            **{k: v for k, v in flags.items() if v},
        }


@dataclass(frozen=True)
class Integer:
    """A range of whole numbers, ends included; `log` as in `Float`."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> int:
        """Asks Optuna for a value."""
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def encode(self, name: str, value: Value) -> dict[str, Any]:
        """Returns the Optuna parameters of the allowed value nearest to `value`."""
        return {name: min(self.high, max(self.low, int(value)))}

    def ends(self) -> list[Value]:
        """Values that must be valid for the whole domain to be."""
        return [self.low, self.high]

    def dump(self) -> dict[str, Value]:
        """The domain as it is written in YAML."""
        return {
            "low": self.low,
            "high": self.high,
            **({"log": True} if self.log else {}),
        }


@dataclass(frozen=True)
class Choice:
    """A list of values, in an order that means something (shallow to deep, small to large).

    Optuna sees the position in the list as an integer: every sampler handles that, and one that
    models distances (GP, TPE's kernels) can use that neighbours are alike. One value is no choice:
    Optuna is not asked.

    Raises:
        ValueError: If there is no value or one stands twice.
    """

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a list of choices needs at least one value, got []")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"the choices must differ, got {list(self.values)}")

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Value:
        """Asks Optuna for a value."""
        if len(self.values) == 1:
            return self.values[0]
        return self.values[trial.suggest_int(name, 0, len(self.values) - 1)]

    def encode(self, name: str, value: Value) -> dict[str, Any]:
        """Returns the Optuna parameters of `value`, or of the last choice if it is none of them."""
        if len(self.values) == 1:
            return {}
        position = self.values.index(value) if value in self.values else len(self.values) - 1
        return {name: position}

    def ends(self) -> list[Value]:
        """Values that must be valid for the whole domain to be."""
        return list(self.values)

    def dump(self) -> list[Value]:
        """The domain as it is written in YAML."""
        return list(self.values)


Domain = Float | Integer | Choice


MAX_NUMBER = 1e300
"""Magnitude above which a number is taken for a slip: arithmetic on it would overflow."""


def read_domain(value: list[Any] | Mapping[str, Any], like: Domain) -> Domain:
    """Reads what a user wrote in place of a searched value.

    Args:
        value: A list of choices, or a mapping `{low, high[, log][, or_zero]}`.
        like: The domain it replaces: it decides between floats and integers, and gives `log`.
            Choices that are all floats may become a range, others not.

    Raises:
        ValueError: If the value is neither, or its range is not one.
    """
    if not isinstance(value, Mapping):
        return Choice(tuple(value))
    unknown = set(value) - {"low", "high", "log", "or_zero"}
    if unknown or not {"low", "high"} <= set(value):
        raise ValueError(
            "a range is written {low: number, high: number} with log: true|false and or_zero: "
            f"true|false (0 is a choice too) if wanted, got {dict(value)}"
        )
    low, high = value["low"], value["high"]
    for name in ("low", "high"):
        if isinstance(value[name], bool) or not isinstance(value[name], int | float):
            raise ValueError(f"{name} of a range must be a number, got {value[name]!r}")
        if abs(value[name]) == math.inf or not abs(value[name]) <= MAX_NUMBER:
            raise ValueError(f"the ends of a range must be finite, got {dict(value)}")
    log = bool(value.get("log", getattr(like, "log", False) and low > 0))
    or_zero = bool(value.get("or_zero", False))
    if isinstance(like, Choice) and not all(isinstance(one, float) for one in like.values):
        raise ValueError(f"give a list of choices such as {like.dump()}, got {dict(value)}")
    if isinstance(like, Integer):
        if or_zero or int(low) != low or int(high) != high:
            raise ValueError(f"this range is of whole numbers, got {dict(value)}")
        return Integer(int(low), int(high), log)
    return Float(float(low), float(high), log, or_zero)


def _switch(name: str) -> str:
    return f"{name}.on"


def _check_range(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"the ends of a range must be finite, got low={low}, high={high}")
    if low > high:
        raise ValueError(f"low must not be above high, got low={low}, high={high}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range needs low above 0, got low={low}, high={high}")
