"""What each attacker of a suite needs and finds: steps, seconds, score, floor, ceiling, leakage.

One encoder is trained without a defence (or with one, `--lambda1`), and every attacker of the suite
is trained on it until it saturates, each alone on one core. Floors and ceilings follow.

    python benchmarks/attacks.py                                       avatars, suite standard
    python benchmarks/attacks.py --root CELEBA --cut conv1 conv3       CelebA's faces at 48 pixels
    python benchmarks/attacks.py --root CELEBA --identity WEIGHTS      with the identity model Φ
    python benchmarks/attacks.py --width 1 --suite decoder_strong --scores-only
    python benchmarks/attacks.py --suite quick --patience 12           were they given up too soon?

What is finished is kept in `--work` and not done again.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.encoders import (
    AVATARS,
    Encoder,
    references,
    run_all,
    scores_at_the_ends,
    train,
)
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown
from trainables.attackers.config import AttackConfig

CELEBA = {"source": "celeba", "image_size": 48, "utility": "all", "private": ["Male"]}

COLUMNS = ["attacker", "after", "steps to saturation", "seconds", "score"]


def main() -> int:
    """Runs what is missing and prints one table per cut."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", default="standard", help="name of a suite (standard)")
    parser.add_argument("--root", type=Path, help="folder of CelebA; avatars without it")
    parser.add_argument("--cut", nargs="+", default=["conv3"], help="cut points (conv3)")
    parser.add_argument("--width", type=float, default=0.25, help="of the ResNet-18 (0.25)")
    parser.add_argument("--identity", type=Path, help="weights of the built-in MobileFaceNet")
    parser.add_argument(
        "--patience",
        type=int,
        help="evaluations without an improvement before the rate falls or training ends "
        f"({AttackConfig().patience}); what doubling it moves was left to learn",
    )
    parser.add_argument(
        "--scores-only",
        action="store_true",
        help="no floors and ceilings, and so no leakages: at the full width they take long",
    )
    parser.add_argument("--lambda1", type=float, default=0.0, help="weight of the defence (0)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=Path("results/benchmark-attacks"))
    options = parser.parse_args()
    data: dict[str, Any] = {**AVATARS, "image_size": 48}
    if options.root is not None:
        data = {**CELEBA, "root": str(options.root.absolute())}
    attack: dict[str, Any] = {}
    if options.identity is not None:
        weights = str(options.identity.absolute())
        attack |= {"identity_model": "mobilefacenet", "identity_weights": weights}
    if options.patience is not None:
        attack["patience"] = options.patience
    protector = {
        "name": "reconstruction" if options.lambda1 else "none",
        "rounds": 800,
        "batch_size": 48,
        "encoder_lr": 3e-3,
        "encoder_lr_decay": 0.1,
        **({"lambda1": options.lambda1} if options.lambda1 else {}),
    }
    texts = []
    for cut in options.cut:
        model = {"backbone": "resnet18", "width": options.width, "cut_point": cut}
        table = _measure(data, model, attack, protector, options)
        texts.append(f"### cut at {cut}\n\n{table}")
    text = "\n\n".join(texts)
    source = "avatars" if options.root is None else "celeba"
    name = f"attacks-{source}-{options.suite}"
    if options.scores_only:
        name += "-scores"
    for option in ("width", "patience"):
        if getattr(options, option) != parser.get_default(option):
            name += f"-{option}-{getattr(options, option):g}"
    places = {options.root: "CELEBA", options.identity: "WEIGHTS", options.work: "WORK"}
    show_and_keep(name, text, places)
    return 0


def _measure(
    data: Mapping[str, Any],
    model: Mapping[str, Any],
    attack: Mapping[str, Any],
    protector: Mapping[str, Any],
    options: argparse.Namespace,
) -> str:
    """Trains one encoder, attacks it, and makes the table."""
    from study.leakages import figures_of
    from study.verification import judge
    from trainables.attackers.suite import Circumstances, resolve_attackers, scale_of
    from trainables.data.config import DataConfig

    work = options.work.absolute()
    circumstances = Circumstances.of(DataConfig(**data), AttackConfig(**attack))
    names = [config.name for config in resolve_attackers(options.suite, circumstances)]
    alone = {
        name: Encoder("encoder", 0, data, model, {**attack, "suite": [name]}, protector)
        for name in names
    }
    scales = list(dict.fromkeys(scale_of(name) for name in names))
    ends = references(data, model, {**attack, "suite": scales})
    train(alone[names[0]], work)  # all attackers have the same encoder
    fresh = not any(encoder.is_done(work) for encoder in alone.values())
    start = time.monotonic()
    run_all(list(alone.values()), work, options.processes)
    suite_seconds = time.monotonic() - start
    found = {
        str(entry["attacker"]): entry
        for encoder in alone.values()
        for entry in encoder.results(work).attacks
    }
    total = sum(float(entry["seconds"]) for entry in found.values())
    note = f"All attackers together took {total / 60:.1f} minutes of one core" + (
        f", {suite_seconds / 60:.1f} minutes on {options.processes}"
        if fresh and len(names) > 1
        else ""
    )
    if options.scores_only:
        ranked = sorted(found.values(), key=lambda entry: -float(entry["test"]))
        return f"{markdown(COLUMNS, [_cells(entry) for entry in ranked])}\n\n{note}."
    run_all(ends, work, options.processes)
    known = scores_at_the_ends(ends, work)
    verdict = judge(figures_of([(0, entry) for entry in found.values()], known))
    lines = []
    for figure in sorted(verdict.figures, key=lambda f: -(f.leakage_test or 0.0)):
        lines.append(
            [
                *_cells(figure.result),
                f"{figure.floor:.3f}",
                f"{figure.ceiling:.3f}",
                "" if figure.leakage_test is None else f"{figure.leakage_test:.3f}",
                "" if figure.counts else "no",
            ]
        )
    heads = [*COLUMNS, "floor", "ceiling", "leakage", "counts"]
    note += f"; worst leakage {verdict.worst_leakage:.3f}, by {verdict.worst_attacker}."
    return f"{markdown(heads, lines)}\n\n{note}"


def _cells(entry: Mapping[str, Any]) -> list[str]:
    """What an attacker came to by itself."""
    return [
        str(entry["attacker"]),
        str(entry["kind"]),
        str(entry["steps"]) if entry["saturated"] else f"> {entry['steps']}",
        f"{entry['seconds']:.0f}",
        f"{entry['test']:.3f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
