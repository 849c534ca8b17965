"""What each lever of a defence brings: one changed at a time, in the loop and after saturation.

The levers are the papers' own: how fast the encoder's rate decays while the adversary's does not,
how many steps the adversary has per round, warm-up, enough rounds, the weight, and, for label flip,
the encoder's normalisation. Avatars at a shallow cut, where an encoder that merely runs from its
adversary is easily mistaken for a private one.

    python benchmarks/levers.py
    python benchmarks/levers.py --only normalisation --seeds 1

What is finished is kept in `--work` and not done again.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.encoders import (
    AVATARS,
    PATIENT,
    Encoder,
    figures,
    markdown,
    mean_and_spread,
    references,
    run_all,
)
from benchmarks.machine import keep_table

DATA = {**AVATARS, "image_size": 32}
MODEL = {"backbone": "resnet18", "width": 0.25, "cut_point": "conv3"}
SHARED = {"batch_size": 48, "encoder_lr": 3e-3, "encoder_lr_decay": 0.1, "adversary_lr": 3e-3}
RECONSTRUCTION = {
    **SHARED,
    "name": "reconstruction",
    "rounds": 600,
    "lambda1": 10.0,
    "adversary_steps": 2,
}
FLIP = {**SHARED, "name": "label_flip", "rounds": 600, "alpha": 0.5}
GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "reconstruction": {
        "undefended": {**RECONSTRUCTION, "lambda1": 0.0},
        "as it is": RECONSTRUCTION,
        "rate does not decay": {**RECONSTRUCTION, "encoder_lr_decay": 1.0},
        "rate decays to 0.01": {**RECONSTRUCTION, "encoder_lr_decay": 0.01},
        "1 adversary step": {**RECONSTRUCTION, "adversary_steps": 1},
        "4 adversary steps": {**RECONSTRUCTION, "adversary_steps": 4},
        "slower adversary (1e-3)": {**RECONSTRUCTION, "adversary_lr": 1e-3},
        "slower encoder (1e-3)": {**RECONSTRUCTION, "encoder_lr": 1e-3},
        "warm-up of 150 rounds": {**RECONSTRUCTION, "warmup": 150},
        "200 rounds": {**RECONSTRUCTION, "rounds": 200},
        "1800 rounds": {**RECONSTRUCTION, "rounds": 1800},
        "λ1 = 1": {**RECONSTRUCTION, "lambda1": 1.0},
        "λ1 = 100": {**RECONSTRUCTION, "lambda1": 100.0},
    },
    "normalisation": {
        "per_location": FLIP,
        "per_location_bias": {**FLIP, "normalisation": "per_location_bias"},
        "batch": {**FLIP, "normalisation": "batch"},
        "none": {**FLIP, "normalisation": "none"},
        "no warm-up": {**FLIP, "warmup": 0},
        "3 classifier steps": {**FLIP, "adversary_steps": 3},
        "rate does not decay": {**FLIP, "encoder_lr_decay": 1.0},
        "α = 1/16": {**FLIP, "alpha": 2**-4},
        "α = 0": {**FLIP, "alpha": 0.0},
    },
}
"""Per group its rows; each row differs from the group's plain one in what its name says."""


def main() -> int:
    """Runs what is missing and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2, help="encoders per row (2)")
    parser.add_argument("--only", choices=list(GROUPS), help="one group of rows")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=Path("results/benchmark-levers"))
    options = parser.parse_args()
    groups = {options.only: GROUPS[options.only]} if options.only else GROUPS
    work = options.work.absolute()
    rows = {
        (group, name): [
            Encoder(f"{group} {name}".replace("/", "_"), seed, DATA, MODEL, PATIENT, settings)
            for seed in range(options.seeds)
        ]
        for group, named in groups.items()
        for name, settings in named.items()
    }
    encoders = [row[seed] for seed in range(options.seeds) for row in rows.values()]
    run_all([*references(DATA, MODEL, PATIENT), *encoders], work, options.processes)
    tables = {
        group: make_table(
            {name: [figures(e, work) for e in rows[group, name]] for name in named},
            "reconstruction" if group == "reconstruction" else "attribute",
        )
        for group, named in groups.items()
    }
    text = "\n\n".join(f"### {group}\n\n{table}" for group, table in tables.items())
    print(text)
    if options.only is None:
        command = " ".join(["python benchmarks/levers.py", *sys.argv[1:]])
        print(f"kept in {keep_table('levers', command, text)}")
    return 0


def make_table(rows: dict[str, list[dict[str, float]]], defended: str) -> str:
    """One row per setting: utility, leakage of what is defended in the loop and after, collapse."""
    in_loop = "in_loop" if defended == "reconstruction" else "in_loop_attribute"
    heads = [
        "", "utility (MCC)", f"{defended} in the loop", f"{defended} after saturation",
        "outputs below variance 0.01", "below 0.5", "training (s)",
    ]  # fmt: skip
    keys = ("utility", in_loop, defended, "collapse", "collapse_half")
    lines = []
    for name, row in rows.items():
        cells = [mean_and_spread([values[k] for values in row if k in values]) for k in keys]
        lines.append([name, *cells, mean_and_spread([values["seconds"] for values in row], 0)])
    return markdown(heads, lines)


if __name__ == "__main__":
    sys.exit(main())
