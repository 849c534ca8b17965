"""Encoders of a benchmark's rows, trained and attacked as a paper's experiment would be.

What is finished is kept and not done again, unless its settings have changed. Remove the folder
after a change of the code.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.leakages import figures_of
from study.verification import judge
from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import Circumstances, resolve_attackers
from trainables.data.config import DataConfig
from trainables.experiments.config import CONSTANT, PlannedEncoder
from trainables.experiments.runner import Place, Unit, is_done, run_units
from trainables.experiments.store import EncoderFolder, encoder_folder
from trainables.nets.config import ModelConfig
from trainables.precision import Precision
from trainables.protectors import PROTECTORS

IDENTITY = "identity"
AVATARS = {
    "source": "avatars",
    "num_images": 4000,
    "utility": ["Eyeglasses"],
    "private": ["Hat"],
}
"""One utility and one private attribute, drawn independently; the image size is each table's."""
PATIENT = {
    "suite": ["decoder", "attribute"],
    "lr": 3e-3,
    "batch_size": 32,
    "min_delta": 0.005,
    "patience": 8,
    "evaluate_every": 100,
    "min_steps": 1000,
    "max_steps": 6000,
}
"""Attackers that do not give up early: with 3 evaluations of 50 steps instead, attribute attackers
stopped on a plateau at chance which they leave after a thousand steps, and the same defences looked
two to ten times as good."""


@dataclass(frozen=True)
class Encoder:
    """One encoder to train and attack.

    Attributes:
        name: The row of the table it belongs to.
        seed: Which of the row's encoders it is.
        data: Settings of the data.
        model: Settings of the network.
        attack: Settings of the attack; its `suite` may be a suite's name.
        protector: Settings of the protector; the name `constant` sends nothing.
        precision: What the networks are trained in, and their attackers.
    """

    name: str
    seed: int
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    attack: Mapping[str, Any]
    protector: Mapping[str, Any]
    precision: Precision = "fp32"

    @functools.cached_property
    def unit(self) -> Unit:
        """What is to be done for it."""
        data, attack = DataConfig(**self.data), AttackConfig(**self.attack)
        own = str(self.protector["name"])
        protector = None if own == CONSTANT else PROTECTORS[own].config(**self.protector)
        attackers = resolve_attackers(attack.suite, Circumstances.of(data, attack))
        names = {attacker.name: attacker.name for attacker in attackers}
        planned = PlannedEncoder(
            self.name,
            data,
            ModelConfig(**self.model),
            protector,
            attack.model_copy(update={"suite": tuple(names)}),
            names,
            probed=None,
            tasks={},
            people=False,
            precision=self.precision,
        )
        return Unit(planned, self.seed)

    def results(self, work: Path) -> EncoderFolder:
        """Where its results are kept; other settings have another place."""
        return encoder_folder(self.unit.encoder, self.seed, work)

    def is_done(self, work: Path) -> bool:
        """Whether it was trained and all its attackers were."""
        return is_done(self.unit, work)


def references(
    data: Mapping[str, Any], model: Mapping[str, Any], attack: Mapping[str, Any]
) -> list[Encoder]:
    """The two ends of every leakage scale on some data: nothing is sent, and the image is."""
    plain = {name: value for name, value in model.items() if name != "cut_point"}
    return [
        Encoder(CONSTANT, 0, data, plain, attack, {"name": CONSTANT}),
        # Of this one only its attackers' scores count, not what a service makes of the image.
        Encoder(IDENTITY, 0, data, plain, attack, {"name": IDENTITY, "rounds": 1}),
    ]


def run_all(encoders: Sequence[Encoder], work: Path, processes: int) -> None:
    """Does what is missing, telling how far it is.

    Raises:
        RuntimeError: If something failed, after all the rest was done.
    """
    _run([encoder.unit for encoder in encoders], work, processes)


def train(encoder: Encoder, work: Path) -> None:
    """Trains one encoder, if it has not been, and attacks it not yet."""
    unit = encoder.unit
    nobody = unit.encoder.attack.model_copy(update={"suite": ()})
    _run([Unit(dataclasses.replace(unit.encoder, attack=nobody), unit.seed)], work, 1)


def _run(units: Sequence[Unit], work: Path, processes: int) -> None:
    say = functools.partial(print, flush=True)
    if failures := run_units(units, work, Place.here(processes, "cpu"), say):
        raise RuntimeError("\n".join(failures))


def scores_at_the_ends(ends: Sequence[Encoder], work: Path) -> dict[tuple[str, str, int], Any]:
    """What attackers got of the references, as leakages are scaled by."""
    return {
        (end.name, str(entry["attacker"]), 0): entry
        for end in ends
        for entry in end.results(work).attacks
    }


def figures(encoder: Encoder, work: Path) -> dict[str, float]:
    """Utility, leakages of the test split, collapse and seconds of an encoder that is done.

    Returns:
        `utility`, `seconds`, `collapse`, `saturated`, per attacker its leakage, and per kind
        (`reconstruction`, `attribute`) that of the one which is worst on the selection split, and
        `diverged` and `collapsed`, 0 or 1. Of a diverged encoder these two and `seconds` alone.
        A collapsed one is attacked here all the same, which a study would not do.
    """
    results = encoder.results(work)
    trained = results.training or {}
    row = {"seconds": float(trained["seconds"])}
    row |= {status: float(trained["status"] == status) for status in ("diverged", "collapsed")}
    if not results.attacks:
        return row
    ends = scores_at_the_ends(references(encoder.data, encoder.model, encoder.attack), work)
    verdict = judge(figures_of([(0, entry) for entry in results.attacks], ends))
    row |= {**verdict.by_attacker, **verdict.by_kind}
    row["utility"] = float(trained["utility/mean_mcc"])
    row["collapse"] = float(trained["collapse/below_0.01"])
    row["collapse_half"] = float(trained["collapse/below_0.5"])
    row["saturated"] = float(verdict.saturated)
    return row


def endings(rows: Sequence[Mapping[str, float]]) -> str:
    """How many of some encoders collapsed or diverged; empty for none."""
    counts = {status: int(sum(row[status] for row in rows)) for status in ("collapsed", "diverged")}
    return ", ".join(f"{n} of {len(rows)} {status}" for status, n in counts.items() if n)


def saturated(rows: Sequence[Mapping[str, float]]) -> str:
    """How many of some encoders had only attackers that count, of how many."""
    return f"{sum(int(row.get('saturated', 0)) for row in rows)}/{len(rows)}"
