"""How near a defence's round comes to what its own layers can do.

    python benchmarks/round_layers.py                    ResNet-18, 64 pixels, three cuts

The rounds of `protector_step.py`, without data, and every layer that they call timed by itself
(`layer_times.py`). Beside them stand the counted operations at the machine's best rate of
convolution. All cores.
"""

import argparse
import functools
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.attack_suite import DTYPES
from benchmarks.layer_times import CPU, HEADS, NOTE, row
from benchmarks.limits import measure_limits
from benchmarks.machine import show_and_keep
from benchmarks.protector_step import METHODS, add_sizes, build, make_faces
from benchmarks.tables import markdown
from trainables.data.batches import Batch
from trainables.data.tasks import TaskBatches
from trainables.nets.config import ModelConfig


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sizes(parser)
    parser.add_argument("--cut", nargs="+", default=["conv1", "conv3", "avgpool"])
    parser.add_argument("--method", nargs="+", default=["reconstruction", "obfuscator"],
                        choices=list(METHODS))  # fmt: skip
    options = parser.parse_args()
    size, batch = options.image_size, options.batch_size
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    best = {name: measure_limits(CPU, dtype).convolution for name, dtype in DTYPES.items()}
    table: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        faces = make_faces(Path(folder), size)
    rows = np.arange(batch, dtype=np.int64)
    given = TaskBatches(faces.images, faces.labels, rows, batch, 0, CPU)()

    def batches(balanced: tuple[int, ...] = ()) -> Batch:
        return given

    for method in options.method:
        for cut in options.cut:
            model = ModelConfig(backbone=options.backbone, width=options.width, cut_point=cut)
            for precision in DTYPES:
                protector = build(method, model, size, batch, CPU)
                step = functools.partial(protector.round, batches, batches)
                figures = row(step, protector.computed(), precision, best[precision])
                table.append([method, cut, precision, *figures])
                print(", ".join(table[-1]), flush=True)
    rates = " and ".join(f"{value / 1e9:.0f} Gflop/s in {name}" for name, value in best.items())
    text = (
        f"{markdown(['method', 'cut', 'in', *HEADS], table)}\n\n{options.backbone} at width "
        f"{options.width:g}, {batch} images of {size} pixels, {torch.get_num_threads()} threads; "
        f"best rates: {rates}. {NOTE}"
    )
    name = f"round-layers-{options.backbone}-{options.width:g}-{size}"
    show_and_keep(name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
