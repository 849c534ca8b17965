"""What each lever of a defence brings: one changed at a time, in the loop and after saturation.

The levers are the papers' own: how fast the encoder's rate decays while the adversary's does not,
how many steps the adversary has per round, warm-up, enough rounds, the weight, and, for label flip,
the encoder's normalisation. Avatars at a shallow cut, where an encoder that merely runs from its
adversary is easily mistaken for a private one; or the faces of CelebA.

    python benchmarks/levers.py
    python benchmarks/levers.py --only normalisation --seeds 1
    python benchmarks/levers.py --root CELEBA --cut conv1 --only reconstruction --seeds 1

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
    endings,
    figures,
    references,
    run_all,
    saturated,
)
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown, mean_and_spread

SIDES = {"obfuscator": 48}
"""Image sides of groups whose avatars are not of 32 pixels: MS-SSIM needs more."""
CELEBA = {"source": "celeba", "utility": "all", "private": ["Male"]}
SHARED = {"batch_size": 48, "encoder_lr": 3e-3, "encoder_lr_decay": 0.1, "adversary_lr": 3e-3}
RECONSTRUCTION = {
    **SHARED,
    "name": "reconstruction",
    "rounds": 600,
    "lambda1": 10.0,
    "adversary_steps": 2,
}
FLIP = {**SHARED, "name": "label_flip", "rounds": 600, "alpha": 0.5}
OBFUSCATOR = {
    **SHARED,
    "name": "obfuscator",
    "rounds": 600,
    "lambda2": 3.0,
    "encoder_lr": 1e-3,
    "adversary_steps": 3,
}
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
    "obfuscator": {
        "as it is": OBFUSCATOR,
        "rate does not decay": {**OBFUSCATOR, "encoder_lr_decay": 1.0},
        "1 adversary step": {**OBFUSCATOR, "adversary_steps": 1},
        "no pre-training": {**OBFUSCATOR, "joint_rounds": 0, "adversary_rounds": 0},
        "200 cycles": {**OBFUSCATOR, "rounds": 200},
        "λ1 = λ2 = 1": {**OBFUSCATOR, "lambda2": 1.0},
        "λ1 = λ2 = 10": {**OBFUSCATOR, "lambda1": 10.0, "lambda2": 10.0},
        "against reconstruction alone": {**OBFUSCATOR, "defend_attributes": False},
        "against inference alone": {**OBFUSCATOR, "defend_reconstruction": False},
    },
}
"""Per group its rows; each row differs from the group's plain one in what its name says."""
DEFENDED = {
    "reconstruction": ["reconstruction"],
    "normalisation": ["attribute"],
    "obfuscator": ["reconstruction", "attribute"],
}
"""What each group's method fights."""


def main() -> int:
    """Runs what is missing and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2, help="encoders per row (2)")
    parser.add_argument("--only", choices=list(GROUPS), help="one group of rows")
    parser.add_argument("--root", type=Path, help="folder of CelebA; avatars without it")
    parser.add_argument("--cut", default="conv3", help="cut point (conv3)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=Path("results/benchmark-levers"))
    options = parser.parse_args()
    groups = {options.only: GROUPS[options.only]} if options.only else GROUPS
    work = options.work.absolute()
    data: dict[str, dict[str, Any]] = {
        group: {**AVATARS, "image_size": SIDES.get(group, 32)} for group in groups
    }
    if options.root is not None:
        faces = {**CELEBA, "image_size": 48, "root": str(options.root.absolute())}
        data = dict.fromkeys(groups, faces)
    model = {"backbone": "resnet18", "width": 0.25, "cut_point": options.cut}
    rows = {
        (group, name): [
            Encoder(
                f"{group} {name}".replace("/", "_"), seed, data[group], model, PATIENT, settings
            )
            for seed in range(options.seeds)
        ]
        for group, named in groups.items()
        for name, settings in named.items()
    }
    encoders = [row[seed] for seed in range(options.seeds) for row in rows.values()]
    ends = [end for group in groups for end in references(data[group], model, PATIENT)]
    run_all(list({end.results(work).path: end for end in ends}.values()) + encoders, work,
            options.processes)  # fmt: skip
    texts = []
    for group, named in groups.items():
        done = {name: [figures(e, work) for e in rows[group, name]] for name in named}
        texts += [f"### {group}\n\n{make_table(done, kind)}" for kind in DEFENDED[group]]
    text = "\n\n".join(texts)
    name = "levers" if options.root is None else "levers-celeba"
    for option in ("cut", "only"):
        if getattr(options, option) != parser.get_default(option):
            name += f"-{getattr(options, option)}"
    show_and_keep(name, text, {options.root: "CELEBA"})
    return 0


def make_table(rows: dict[str, list[dict[str, float]]], defended: str) -> str:
    """One row per setting: utility, leakage of what is defended in the loop and after, collapse."""
    in_loop = "in_loop" if defended == "reconstruction" else "in_loop_attribute"
    heads = [
        "", "utility (MCC)", f"{defended} in the loop", f"{defended} after saturation",
        "saturated", "outputs below variance 0.01", "below 0.5", "broken", "training (s)",
    ]  # fmt: skip
    scores, codes = ("utility", in_loop, defended), ("collapse", "collapse_half")
    lines = []
    for name, row in rows.items():
        before, after = (
            [mean_and_spread([values[k] for values in row if k in values]) for k in keys]
            for keys in (scores, codes)
        )
        seconds = mean_and_spread([values["seconds"] for values in row], 0)
        lines.append([name, *before, saturated(row), *after, endings(row), seconds])
    return markdown(heads, lines)


if __name__ == "__main__":
    sys.exit(main())
