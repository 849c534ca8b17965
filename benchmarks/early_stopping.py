r"""What early stopping spares, and what it does to the frontier: a replay of recorded attacks.

    python study/run.py quickstart study.num_encoders=32 study.name=early
    python benchmarks/early_stopping.py --record early --tracking sqlite:///results/mlflow.db
    python benchmarks/early_stopping.py

The first two commands attack every encoder with the whole suite, without the rule, and keep what
each attacker got (`benchmarks/surfaces/attacks-STUDY.json`). The third goes through the encoders
one after another, in the order in which the study trained them and in many random orders, and stops
each where `study.early_stopping_margin` would have. Against the frontier of the whole record: which
of its encoders would be missing, and how much of its area. What the replay leaves out: a sampler
that is told of a lower bound may propose other encoders afterwards.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from analysis.load import load_study
from analysis.pareto import hypervolume, non_dominated
from benchmarks.machine import show_and_keep
from benchmarks.search import SURFACES
from benchmarks.tables import markdown
from study.early_stopping import dominance, strongest_first
from study.jobs import Job
from study.leakages import AttackFigures
from study.records import EncoderRecord
from study.verification import judge
from trainables.attackers.in_loop import IN_LOOP_NAMES

MARGINS = (0.0, 0.02, 0.05, 0.1)
ORDERS = 200
ROLES = ("undefended", "searched", "baseline")


def record(study: str, tracking: str) -> Path:
    """Keeps what every attacker of a study got from every verified encoder."""
    tables = load_study(study, tracking)
    rows = []
    encoders = tables.encoders[tables.encoders["status"] == "verified"]
    for _, row in encoders[encoders["role"].isin(ROLES)].iterrows():
        own = tables.attacks[tables.attacks["encoder_id"] == row["encoder_id"]]
        attacks = [
            {
                "attacker": attack["attacker"], "kind": attack["attack_kind"],
                "seed": int(attack["seed"]),
                "selection": _number(attack["leakage/selection"]),
                "error": _number(attack["leakage/selection_error"]),
                "test": _number(attack["leakage/test"]), "counts": bool(attack["counts"]),
                "saturated": bool(attack["saturated"]), "seconds": float(attack["seconds"]),
            }
            for _, attack in own.iterrows()
        ]  # fmt: skip
        rows.append(
            {
                "label": row["run_name"], "role": row["role"], "attacks": attacks,
                "selection": row["utility/mean_mcc_selection"], "test": row["utility/mean_mcc"],
                "seconds": float(row["seconds/protect"]),
            }
        )  # fmt: skip
    path = SURFACES / f"attacks-{study}.json"
    path.write_text(json.dumps(rows, indent=0), encoding="utf-8")
    return path


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


@dataclass(frozen=True)
class Outcome:
    """One pass through the encoders.

    Attributes:
        kept: The encoders that met every attacker, by their place in the record.
        attacks: Share of the attack trials of searched encoders that were spared.
        attack_seconds: Share of all attack seconds.
        seconds: Share of the seconds of attacks and trainings.
    """

    kept: tuple[int, ...]
    attacks: float
    attack_seconds: float
    seconds: float


def trials_of(row: Mapping[str, Any]) -> dict[str, list[AttackFigures]]:
    """The figures of an encoder's attackers in their order, one trial each (`attack.group=1`).

    The in-loop adversaries come with the first, as in a study.
    """
    first = next(a["attacker"] for a in row["attacks"] if a["attacker"] not in IN_LOOP_NAMES)
    trials: dict[str, list[AttackFigures]] = {}
    for attack in row["attacks"]:
        in_loop = attack["attacker"] in IN_LOOP_NAMES
        figures = AttackFigures(
            attack["attacker"], attack["seed"], {**attack, "num_public": 0}, 0.0, 1.0,
            attack["test"], attack["selection"], attack["error"] or 0.0,
        )  # fmt: skip
        trials.setdefault(first if in_loop else attack["attacker"], []).append(figures)
    return trials


def replay(rows: Sequence[Mapping[str, Any]], order: Sequence[int], margin: float) -> Outcome:
    """Goes through the encoders in an order, one attack trial at a time."""
    done: list[EncoderRecord] = []
    kept = []
    spared_seconds, spared, attack_trials = 0.0, 0, 0
    for place in order:
        row, met = rows[place], list[AttackFigures]()
        jobs = [Job(name, "attack", str(place), {}, name, (name,)) for name in trials_of(row)]
        trials = [trials_of(row)[job.key] for job in strongest_first(jobs, done)]
        attack_trials += len(trials) if row["role"] == "searched" else 0
        for number, trial in enumerate(trials, 1):
            met += trial
            rest = trials[number:]
            if row["role"] != "searched" or not rest:
                continue
            try:
                so_far = judge(met)
            except ValueError:  # nothing measurable among them
                continue
            if dominance(row["selection"], so_far, done, margin) is not None:
                spared += len(rest)
                spared_seconds += sum(f.result["seconds"] for one in rest for f in one)
                break
        else:
            job = Job(str(place), "protect", str(place), {}, row["label"])
            protected = {"utility/mean_mcc_selection": row["selection"]}
            done.append(
                EncoderRecord(
                    job, row["role"], {}, status="verified", protected=protected, verdict=judge(met)
                )
            )
            kept.append(place)
    attacks = sum(attack["seconds"] for row in rows for attack in row["attacks"])
    trainings = sum(row["seconds"] for row in rows)
    return Outcome(
        tuple(kept), spared / attack_trials, spared_seconds / attacks,
        spared_seconds / (attacks + trainings),
    )  # fmt: skip


class Plane:
    """The encoders of a record on one split.

    Args:
        rows: The record.
        split: `selection` or `test`.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], split: str) -> None:
        verdicts = [judge([f for trial in trials_of(row).values() for f in trial]) for row in rows]
        self.utility = np.array([row[split] for row in rows])
        self.leakage = np.array(
            [v.worst_selection if split == "selection" else v.worst_leakage for v in verdicts]
        )
        self.saturated = np.array([v.saturated for v in verdicts])
        marked = non_dominated(self.utility, self.leakage, self.saturated)
        self.frontier = set(np.flatnonzero(marked))
        self.area = self._area(range(len(rows)))

    def loss(self, kept: Sequence[int]) -> tuple[int, float]:
        """Frontier encoders that are missing, and the share of the area that is lost."""
        return len(self.frontier - set(kept)), 1 - self._area(kept) / self.area

    def _area(self, places: Sequence[int]) -> float:
        own = list(places)
        return hypervolume(self.utility[own], self.leakage[own], self.saturated[own])


def main() -> int:
    """Records a study, or prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", metavar="STUDY", help="a study that attacked every encoder")
    parser.add_argument(
        "--tracking", default="sqlite:///results/mlflow.db", help="MLflow's address"
    )
    parser.add_argument("--study", default="early", help="the record to replay (early)")
    options = parser.parse_args()
    if options.record is not None:
        print(f"kept in {record(options.record, options.tracking)}")
        return 0
    path = SURFACES / f"attacks-{options.study}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    generator = np.random.default_rng(0)
    orders = [generator.permutation(len(rows)).tolist() for _ in range(ORDERS)]
    planes = [Plane(rows, split) for split in ("selection", "test")]
    lines = []
    for margin in MARGINS:
        cases = [replay(rows, range(len(rows)), margin)]
        lines.append(_line(f"{margin:g}", "the study's", cases, planes))
        lines.append(
            _line("", f"{ORDERS} random", [replay(rows, o, margin) for o in orders], planes)
        )
    heads = [
        "margin", "order", "encoders stopped", "attack trials spared", "attack time spared",
        "of all time", "frontier lost, selection", "area lost", "frontier lost, test", "area lost",
    ]  # fmt: skip
    sizes = ", ".join(
        f"{len(plane.frontier)} of them on the frontier of {split} (area {plane.area:.3f})"
        for plane, split in zip(planes, ("selection", "test"), strict=True)
    )
    text = markdown(heads, lines) + f"\n\n{len(rows)} encoders: {sizes}. Random orders: means, and "
    text += "the largest loss in brackets."
    show_and_keep(f"early-stopping-{options.study}", text)
    return 0


def _line(margin: str, order: str, cases: Sequence[Outcome], planes: Sequence[Plane]) -> list[str]:
    stopped = np.mean([-len(case.kept) for case in cases]) + len(planes[0].utility)
    shares = [
        f"{np.mean([getattr(case, name) for case in cases]):.0%}"
        for name in ("attacks", "attack_seconds", "seconds")
    ]
    cells = [margin, order, f"{stopped:.1f}".removesuffix(".0"), *shares]
    for plane in planes:
        losses = [plane.loss(case.kept) for case in cases]
        missing, area = ([loss[which] for loss in losses] for which in (0, 1))
        if len(cases) == 1:
            cells += [f"{missing[0]}", f"{area[0]:.2%}"]
        else:
            cells += [
                f"{np.mean(missing):.1f} ({max(missing)})", f"{np.mean(area):.2%} ({max(area):.2%})"
            ]  # fmt: skip
    return cells


if __name__ == "__main__":
    sys.exit(main())
