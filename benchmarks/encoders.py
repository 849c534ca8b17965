"""Trains encoders and attacks them without a cluster: one process per core, one thread each.

What is finished is kept and not done again, unless its settings have changed. Remove the folder
after a change of the code.
"""

import json
import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.precision import Precision

REFERENCES = ("constant", "identity")
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
    """One encoder to train and attack, or `constant` or `identity` to measure its end of the scale.

    Attributes:
        name: The row of the table it belongs to.
        seed: Which of the row's encoders it is.
        data: Settings of the data.
        model: Settings of the network.
        attack: Settings of the attack.
        protector: Settings of the protector; empty for a reference.
        precision: What the networks are trained in, and their attackers.
    """

    name: str
    seed: int
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    attack: Mapping[str, Any]
    protector: Mapping[str, Any]
    precision: "Precision" = "fp32"

    def _settings(self) -> dict[str, Any]:
        """Everything the training's result depends on, defaults included."""
        from trainables.data.config import DataConfig
        from trainables.nets.config import ModelConfig
        from trainables.protectors import PROTECTORS

        protector: dict[str, Any] = {}
        if self.protector:
            settings = PROTECTORS[self.protector["name"]].config(**self.protector)
            protector = settings.model_dump(mode="json")
        return {
            "name": self.name if not protector else "",
            "seed": self.seed,
            "data": DataConfig(**self.data).model_dump(mode="json"),
            "model": ModelConfig(**self.model).model_dump(mode="json"),
            "protector": protector,
            **({} if self.precision == "fp32" else {"precision": self.precision}),
        }

    def folder(self, work: Path) -> Path:
        """Where the encoder and its training's result are kept; other settings have another."""
        from trainables.seeding import config_hash

        return work / f"{self.name}-{self.seed}-{config_hash(self._settings())}"

    def attacks(self, work: Path) -> Path:
        """Where its attacks' results are kept; other attack settings have another file."""
        from trainables.attackers.config import AttackConfig
        from trainables.seeding import config_hash

        key = config_hash(AttackConfig(**self.attack).model_dump(mode="json"))
        return self.folder(work) / f"attacks-{key}.json"


def references(
    data: Mapping[str, Any], model: Mapping[str, Any], attack: Mapping[str, Any]
) -> list[Encoder]:
    """The two ends of every leakage scale on some data."""
    plain = {name: value for name, value in model.items() if name != "cut_point"}
    return [Encoder(which, 0, data, plain, attack, {}) for which in REFERENCES]


def run_all(encoders: Sequence[Encoder], work: Path, processes: int) -> None:
    """Does what is missing, telling how far it is."""
    from trainables.data.config import DataConfig
    from trainables.data.dataset import load_dataset

    work.mkdir(parents=True, exist_ok=True)
    missing = [encoder for encoder in encoders if not encoder.attacks(work).exists()]
    for data in {json.dumps(dict(encoder.data)): encoder.data for encoder in missing}.values():
        load_dataset(DataConfig(**data), work / "cache")  # before two processes would build it
    start = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        running = {pool.submit(_run, encoder, str(work)): encoder for encoder in missing}
        for done, future in enumerate(as_completed(running), 1):
            future.result()
            encoder = running[future]
            left = (time.monotonic() - start) / done * (len(missing) - done)
            print(
                f"{done}/{len(missing)} {encoder.name} (seed {encoder.seed}): "
                f"about {left / 60:.0f} min left",
                flush=True,
            )


def train(encoder: Encoder, work: Path) -> None:
    """Trains one encoder, if it has not been, and attacks it not yet."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        pool.submit(_train, encoder, work).result()


def _train(encoder: Encoder, place: Path) -> Path:
    import torch

    torch.set_num_threads(1)
    trained = encoder.folder(place) / "protect.json"
    if not trained.exists():
        _keep(_protect(encoder, place), trained)
    return trained


def _run(encoder: Encoder, work: str) -> None:
    import torch

    torch.set_num_threads(1)
    place = Path(work)
    reference = encoder.name
    if encoder.protector:
        trained = _train(encoder, place)
        if json.loads(trained.read_text(encoding="utf-8"))["status"] == "diverged":
            _keep([], encoder.attacks(place))
            return
        reference = str(encoder.folder(place) / "encoder.pt")
    _keep(_attack(encoder, reference, place), encoder.attacks(place))


def _keep(result: Any, path: Path) -> None:
    from trainables.checkpoint import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(result), path)


def _protect(encoder: Encoder, folder: Path) -> dict[str, Any]:
    from trainables.protect import ProtectTrial
    from trainables.protectors import PROTECTORS

    settings = PROTECTORS[encoder.protector["name"]].config(**encoder.protector)
    config = {
        "data": dict(encoder.data),
        "model": dict(encoder.model),
        "protector": settings.model_dump(mode="json"),
        "seed": encoder.seed,
        "precision": encoder.precision,
        "output": str(encoder.folder(folder)),
        "cache": str(folder / "cache"),
    }
    return _finish(ProtectTrial(config))


def _attack(encoder: Encoder, reference: str, folder: Path) -> list[dict[str, Any]]:
    from trainables.attack import AttackTrial
    from trainables.attackers.config import AttackConfig
    from trainables.attackers.suite import Circumstances, resolve_attackers
    from trainables.data.config import DataConfig

    circumstances = Circumstances.of(DataConfig(**encoder.data), AttackConfig(**encoder.attack))
    attackers = resolve_attackers(encoder.attack["suite"], circumstances)
    config = {
        "encoder": reference,
        "attackers": [attacker.model_dump(mode="json") for attacker in attackers],
        "attack": dict(encoder.attack),
        "data": dict(encoder.data),
        "model": dict(encoder.model),
        "seed": 1000 + encoder.seed,
        "output": str(encoder.folder(folder)),
        "cache": str(folder / "cache"),
        "in_loop": True,
        "precision": encoder.precision,
    }
    results: list[dict[str, Any]] = _finish(AttackTrial(config))["results"]
    return results


def _finish(trial: Any) -> dict[str, Any]:
    """Steps a trial to its end; the last report, with the curves of the training before it."""
    reports = [trial.step()]
    while not reports[-1]["done"]:
        reports.append(trial.step())
    curves = [{k: v for k, v in report.items() if k.startswith("train")} for report in reports]
    return {**reports[-1], "curves": curves}


def figures(encoder: Encoder, work: Path) -> dict[str, float]:
    """Utility, leakages of the test split, collapse and seconds of an encoder that is done.

    Returns:
        `utility`, `seconds`, `collapse`, `saturated`, per attacker its leakage, and per kind
        (`reconstruction`, `attribute`) that of the one which is worst on the selection split, and
        `diverged` and `collapsed`, 0 or 1. Of a diverged encoder these two and `seconds` alone.
        A collapsed one is attacked here all the same, which a study would not do.
    """
    from study.leakages import figures_of
    from study.verification import judge

    trained = json.loads((encoder.folder(work) / "protect.json").read_text(encoding="utf-8"))
    attacks = json.loads(encoder.attacks(work).read_text(encoding="utf-8"))
    row = {"seconds": float(trained["seconds"])}
    row |= {status: float(trained["status"] == status) for status in ("diverged", "collapsed")}
    if not attacks:
        return row
    ends = {
        (reference.name, str(entry["attacker"]), 0): entry
        for reference in references(encoder.data, encoder.model, encoder.attack)
        for entry in json.loads(reference.attacks(work).read_text(encoding="utf-8"))
    }
    verdict = judge(figures_of([(0, entry) for entry in attacks], ends))
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


def mean_and_spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean and half the distance of the highest and the lowest; empty for no values."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    spread = (max(values) - min(values)) / 2
    return f"{statistics.fmean(values):.{digits}f} ± {spread:.{digits}f}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])
