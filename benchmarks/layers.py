"""How near the attackers of a frozen encoder come to what their own layers can do.

    python benchmarks/layers.py                          ResNet-18 at a quarter, 48 pixels
    python benchmarks/layers.py --width 1 --image-size 64

The machine's rate of convolution is measured with maps of 64 to 256 channels; attackers of small
encoders have 16 to 64. So every layer that a step calls is timed by itself (`layer_times.py`).
Beside it stand the step itself, and its counted operations at the machine's best rate. One thread,
as an attack trial has.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.attack_suite import ATTACKERS, DTYPES, make_encoder, prepare, trial_config
from benchmarks.layer_times import CPU, HEADS, NOTE, row
from benchmarks.limits import measure_limits
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown
from trainables.attack import AttackTrial
from trainables.precision import Precision


def measure(trial: AttackTrial, precision: Precision, best: float) -> list[str]:
    """Milliseconds, and shares of the step, of a trial's one attacker."""
    attacker = trial.attacker
    assert attacker is not None
    rows = trial.dataset.rows("public")[: trial.settings.batch_size]
    batch = trial.encodings.public_batch(rows, np.zeros(len(rows), dtype=bool), None, False)
    nets = list(attacker.nets().values())
    if trial.target.perceptual is not None:
        nets.append(trial.target.perceptual)
    return row(lambda: attacker.train_step(batch), nets, precision, best)


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--width", type=float, default=0.25, help="of the backbone (0.25)")
    parser.add_argument("--image-size", type=int, default=48, help="pixels (48)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step (32)")
    parser.add_argument("--cut", default="conv3", help="cut point (conv3)")
    options = parser.parse_args()
    options.steps = 1
    torch.set_num_threads(1)
    table: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work, options)
        encoder, _ = make_encoder(work, options, options.cut)
        rates = []
        for precision, dtype in DTYPES.items():
            best = measure_limits(CPU, dtype).convolution
            rates.append(f"{best / 1e9:.0f} Gflop/s in {precision}")
            for name in ATTACKERS:
                config = trial_config([name], encoder, work, options, options.cut, precision)
                figures = measure(AttackTrial(config), precision, best)
                table.append([f"`{name}`", precision, *figures])
                print(", ".join(table[-1]), flush=True)
    text = (
        f"{markdown(['attacker', 'in', *HEADS], table)}\n\n{options.backbone} at width "
        f"{options.width:g} cut at {options.cut}, {options.batch_size} images of "
        f"{options.image_size} pixels, one thread; best rates: {' and '.join(rates)}. {NOTE}"
    )
    name = f"layers-{options.backbone}-{options.width:g}-{options.image_size}"
    show_and_keep(name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
