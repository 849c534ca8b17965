"""When an attacker has learned all it can: one rule for every attacker.

Pittaluga, section 4.1: train at the initial rate until the score stops improving, divide the rate
by ten once, train until it stops again, keep the best weights. An attacker that ran out of steps
first is *unsaturated*: its leakage is a lower bound and is marked as such.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import Field, model_validator

from trainables.settings import Settings

Verdict = Literal["train", "decay", "stop"]


class SaturationConfig(Settings):
    """The saturation rule.

    Attributes:
        lr: Initial rate.
        lr_decay: What the rate is multiplied by, once, when the score first stops improving.
        min_delta: Improvement of the selection score that counts as one.
        patience: Evaluations without an improvement before the score counts as saturated.
        evaluate_every: Steps between evaluations on the selection split.
        min_steps: Steps at the initial rate before a score that does not improve means anything:
            attackers of defended encoders lie on a plateau at chance before they learn.
        chance_patience: How many times `min_steps` an attacker that lies at chance is given before
            its plateau means anything; 1 gives it no more than the others.
        max_steps: Budget; reaching it leaves the attacker unsaturated.
    """

    lr: float = Field(default=2e-3, gt=0)
    lr_decay: float = Field(default=0.1, gt=0, le=1)
    min_delta: float = Field(default=0.004, ge=0)
    patience: int = Field(default=6, ge=1)
    evaluate_every: int = Field(default=100, ge=1)
    min_steps: int = Field(default=1500, ge=0)
    chance_patience: int = Field(default=4, ge=1)
    max_steps: int = Field(default=8000, ge=1)

    @model_validator(mode="after")
    def _time_to_saturate(self) -> "SaturationConfig":
        if self.min_steps > self.max_steps:
            raise ValueError(
                f"min_steps: at most max_steps ({self.max_steps}), got {self.min_steps}: "
                "no attacker could saturate"
            )
        return self


@dataclass
class SaturationMonitor:
    """Follows one attacker's selection score and says what to do next.

    Attributes:
        config: The rule.
        best: Best score so far; -inf before the first evaluation.
        best_step: Step at which the best weights stood.
        reference: Score the next improvement is measured from. It only moves by `min_delta` or
            more, so that a slow but steady climb still counts as improvement.
        others: The same of other measures that are followed; none before the first evaluation at a
            rate.
        stale: Evaluations since the last of the references moved.
        decayed: Whether the rate has been lowered.
        saturated: Whether both phases ended by the rule.
        curve: (step, selection score, rate) of every evaluation.
    """

    config: SaturationConfig
    best: float = -math.inf
    best_step: int = 0
    reference: float = -math.inf
    others: list[float] = field(default_factory=list)
    stale: int = 0
    decayed: bool = False
    saturated: bool = False
    curve: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The learning rate in force."""
        return self.config.lr * (self.config.lr_decay if self.decayed else 1.0)

    def update(
        self,
        step: int,
        score: float,
        at_chance: Callable[[], bool] = lambda: False,
        others: Sequence[float] = (),
    ) -> tuple[bool, Verdict]:
        """Takes one evaluation; returns (is this the best so far, what to do next).

        Args:
            step: Of the training.
            score: On the selection split.
            at_chance: Whether that score is no better than chance; asked only where it matters.
            others: Other measures of the same answers, higher for better. An attacker that still
                improves by one of them has not saturated; which weights are best is the score's.

        Raises:
            ValueError: If the score is not finite.
        """
        if not math.isfinite(score):
            raise ValueError(f"the selection score at step {step} is {score}")
        self.curve.append((step, score, self.rate))
        improved = score > self.best
        if improved:
            self.best, self.best_step = score, step
        moved = self._improves(score, self.reference)
        if moved:
            self.reference = score
        if not self.others:
            self.others = [-math.inf] * len(others)
        for index, value in enumerate(others):
            if self._improves(value, self.others[index]):
                self.others[index], moved = value, True
        self.stale = 0 if moved else self.stale + 1
        # A decayed rate that brings nothing has nothing to wait for: the first phase had its time.
        waited = self.decayed or step >= self.config.min_steps
        if self.stale >= self.config.patience and waited:
            if self._may_yet_begin(step) and at_chance():
                self.stale = 0
            elif self.decayed:
                self.saturated = True
                return improved, "stop"
            else:
                self.decayed, self.stale = True, 0
                # The second phase starts from the best weights and must beat the best score.
                self.reference, self.others = self.best, []
                return improved, "stop" if step >= self.config.max_steps else "decay"
        return improved, "stop" if step >= self.config.max_steps else "train"

    def _improves(self, value: float, reference: float) -> bool:
        return value > reference and value >= reference + self.config.min_delta

    def _may_yet_begin(self, step: int) -> bool:
        """Whether an attacker at chance is given more time."""
        return not self.decayed and step < self.config.chance_patience * self.config.min_steps

    def state_dict(self) -> dict[str, Any]:
        """Everything but the rule itself."""
        state = asdict(self)
        del state["config"]
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        for name, value in state.items():
            setattr(self, name, value)
        self.curve = [tuple(point) for point in self.curve]  # type: ignore[misc]
