"""Whether bfloat16 changes what a study finds: the same encoders and attacks in both precisions.

    python benchmarks/precisions.py

Each row trains encoders of several seeds and attacks every one of them until saturation, all in
one precision. The two agree where the means lie within the spread of the seeds.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.encoders import AVATARS, PATIENT, Encoder, figures, references, run_all, saturated
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown, mean_and_spread
from trainables.precision import Precision

DATA = {**AVATARS, "image_size": 32}
MODEL = {"backbone": "resnet18", "width": 0.25, "cut_point": "conv3"}
SHARED = {
    "rounds": 600,
    "batch_size": 48,
    "encoder_lr": 3e-3,
    "encoder_lr_decay": 0.1,
}
METHODS = {
    "none": {**SHARED, "name": "none"},
    "reconstruction": {
        **SHARED,
        "name": "reconstruction",
        "adversary_lr": 3e-3,
        "lambda1": 10.0,
        "adversary_steps": 2,
    },
}
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def main() -> int:
    """Runs what is missing, and prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="encoders per row (3)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=Path("results/benchmark-precisions"))
    options = parser.parse_args()
    work = options.work.absolute()
    rows = {
        (method, precision): [
            Encoder(f"{method} {precision}", seed, DATA, MODEL, PATIENT, settings, precision)
            for seed in range(options.seeds)
        ]
        for method, settings in METHODS.items()
        for precision in PRECISIONS
    }
    encoders = [row[seed] for seed in range(options.seeds) for row in rows.values()]
    run_all([*references(DATA, MODEL, PATIENT), *encoders], work, options.processes)
    lines = []
    for (method, precision), row in rows.items():
        found = [figures(encoder, work) for encoder in row]
        means = [
            mean_and_spread([values[name] for values in found if name in values])
            for name in ("utility", "in_loop", "reconstruction", "attribute")
        ]
        seconds = mean_and_spread([values["seconds"] for values in found], 0)
        lines.append([method, precision, *means, saturated(found), seconds])
    heads = [
        "method", "precision", "utility (MCC)", "decoder in the loop",
        "decoder after saturation", "attribute after saturation", "saturated", "training (s)",
    ]  # fmt: skip
    text = markdown(heads, lines)
    show_and_keep("precisions", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
