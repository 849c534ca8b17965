"""What each protector takes from its attackers, in the loop and after saturation.

Avatars with one utility and one private attribute, drawn independently. Every method trains one
encoder per seed; attackers are then trained anew on it until they saturate. The table shows
leakages of the test split: the mean over the seeds and, behind ±, half the distance of the highest
and the lowest.

    python benchmarks/protectors.py                        all methods, 3 seeds
    python benchmarks/protectors.py --only flip obfuscator --seeds 1

What is finished is kept in `--work` and not done again.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.encoders import (
    AVATARS,
    PATIENT,
    Encoder,
    endings,
    figures,
    references,
    run_all,
    saturated,
)
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown, mean_and_spread

DATA = {**AVATARS, "image_size": 48}
MODEL = {"backbone": "resnet18", "width": 0.25, "cut_point": "conv4"}
SHARED = {"encoder_lr_decay": 0.1, "batch_size": 48}
FLIP = {
    "name": "label_flip",
    "rounds": 1000,
    "alpha": 0.5,
    "encoder_lr": 3e-3,
    "adversary_lr": 3e-3,
}
METHODS: dict[str, dict[str, Any]] = {
    "none": {"name": "none", "rounds": 600, "encoder_lr": 3e-3},
    "reconstruction": {
        "name": "reconstruction",
        "rounds": 600,
        "lambda1": 10.0,
        "encoder_lr": 3e-3,
        "adversary_steps": 2,
        "adversary_lr": 3e-3,
    },
    "flip": FLIP,
    "gan": {**FLIP, "privacy_loss": "gan"},
    "negative": {**FLIP, "privacy_loss": "negative"},
    "obfuscator": {
        "name": "obfuscator",
        "rounds": 700,
        "lambda2": 3.0,
        "encoder_lr": 1e-3,
        "adversary_steps": 3,
        "adversary_lr": 3e-3,
    },
}
"""Each method's settings; all have the same decay of the encoder's rate and batch size."""
ATTACK: dict[str, Any] = {
    **PATIENT,
    "suite": ["decoder", "decoder_residual", "attribute"],
    "max_steps": 10_000,
}
"""The decoder of the loop, retrained, and one of another make that no encoder has met; that one had
not saturated after 6,000 steps on every encoder."""


def main() -> int:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="encoders per method (3)")
    parser.add_argument("--only", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--suite", help=f"a suite instead of {', '.join(ATTACK['suite'])}")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=Path("results/benchmark-protectors"))
    options = parser.parse_args()
    names = list(dict.fromkeys(["none", *options.only]))
    attack = {**ATTACK, **({"suite": options.suite} if options.suite else {})}
    rows = {
        name: [
            Encoder(name, seed, DATA, MODEL, attack, {**SHARED, **METHODS[name]})
            for seed in range(options.seeds)
        ]
        for name in names
    }
    encoders = [rows[name][seed] for seed in range(options.seeds) for name in names]
    work = options.work.absolute()
    run_all([*references(DATA, MODEL, attack), *encoders], work, options.processes)
    table = make_table({name: [figures(e, work) for e in row] for name, row in rows.items()})
    if options.only == list(METHODS):
        show_and_keep("protectors", table)
    else:
        print(table)
    return 0


def make_table(rows: dict[str, list[dict[str, float]]]) -> str:
    """The table: one row per method, `none` first."""
    heads = [
        "method", "utility (MCC)", "lost (points)",
        "decoder in the loop", "worst decoder after saturation", "lowered by (points)",
        "attribute in the loop", "attribute after saturation", "lowered by (points)",
        "saturated", "broken", "training (s)",
    ]  # fmt: skip
    undefended = rows["none"]
    lines = []
    for name, row in rows.items():
        lines.append(
            [
                name,
                _mean(row, "utility"),
                _points(undefended, row, "utility"),
                _mean(row, "in_loop"),
                _mean(row, "reconstruction"),
                _points(undefended, row, "reconstruction"),
                _mean(row, "in_loop_attribute"),
                _mean(row, "attribute"),
                _points(undefended, row, "attribute"),
                saturated(row),
                endings(row),
                mean_and_spread([values["seconds"] for values in row], 0),
            ]
        )
    return markdown(heads, lines)


def _mean(row: Sequence[dict[str, float]], key: str) -> str:
    return mean_and_spread([values[key] for values in row if key in values])


def _points(
    undefended: Sequence[dict[str, float]], row: Sequence[dict[str, float]], key: str
) -> str:
    """How many hundredths a figure fell against the undefended encoder of the same seed."""
    if row is undefended:
        return ""
    pairs = zip(undefended, row, strict=True)
    return mean_and_spread([100 * (a[key] - b[key]) for a, b in pairs if key in a and key in b], 1)


if __name__ == "__main__":
    sys.exit(main())
