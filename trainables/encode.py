"""Writes what an encoder sends, so that anyone can attack it with code of their own.

    python -m trainables.encode results/STUDY/encoders/ID codes.npz

The folder is an encoder's in a study's results; `codes.npz` opens with numpy, `codes.parquet` with
pandas. Both hold the codes of the splits that an attacker meets, the attributes and the people.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

from trainables.data.batches import sequential
from trainables.data.config import DataConfig
from trainables.data.dataset import Dataset, load_dataset
from trainables.data.source import DataError
from trainables.frozen import FrozenEncoder, load_encoder

SPLITS = ("public", "selection", "test")
"""What an attacker has, is stopped by and is measured on; the private split is the service's."""
BATCH = 256
Columns = dict[str, Any]


def encode(
    encoder: FrozenEncoder, dataset: Dataset, splits: Sequence[str] = SPLITS
) -> Iterator[Columns]:
    """Yields batches of codes with all that is known of their images.

    Args:
        encoder: The frozen encoder. One that is stochastic is asked once for each image.
        dataset: Its images, with their splits.
        splits: Which of them, in this order.

    Yields:
        `z` float32 [B, *shape] as the encoder sends them, `split` [B], `row` int64 [B], `person`
        int64 [B], and `labels` uint8 [B, A] in the order of `dataset.attribute_names`.
    """
    store = dataset.store
    for split in splits:
        rows = dataset.rows(split)
        batches = sequential(store.images, store.labels, rows, BATCH)
        for index, batch in enumerate(batches):
            own = rows[index * BATCH : index * BATCH + len(batch.images)]
            with torch.no_grad():
                codes = encoder.encode(batch.images, batch.labels, seed=int(own[0]))
            yield {
                "z": codes.contiguous().numpy(),
                "split": np.full(len(own), split),
                "row": own,
                "person": store.identities[own],
                "labels": store.labels[own],
            }


def write_npz(batches: Iterator[Columns], attributes: Sequence[str], path: Path) -> int:
    """Writes `z`, `split`, `row`, `person`, `labels` [N, A] and `attributes` [A].

    Returns:
        Number of codes.
    """
    parts = list(batches)
    columns: Any = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.savez(path, attributes=np.array(attributes), **columns)
    return len(columns["row"])


def write_parquet(batches: Iterator[Columns], attributes: Sequence[str], path: Path) -> int:
    """Writes one row per image: flattened `z`, `split`, `row`, `person`, a column per attribute.

    The shape of one z is in the file's metadata, under `z_shape`.

    Returns:
        Number of codes.
    """
    writer: pq.ParquetWriter | None = None
    count = 0
    for part in batches:
        flat = part["z"].reshape(len(part["z"]), -1)
        values = pa.array(flat.ravel())
        columns = {
            "z": pa.FixedSizeListArray.from_arrays(values, flat.shape[1]),
            **{name: pa.array(part[name]) for name in ("split", "row", "person")},
            **{name: pa.array(part["labels"][:, i]) for i, name in enumerate(attributes)},
        }
        table = pa.table(columns)
        if writer is None:
            shape = ",".join(map(str, part["z"].shape[1:]))
            schema = table.schema.with_metadata({"z_shape": shape})
            writer = pq.ParquetWriter(path, schema)
        writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
        count += len(flat)
    if writer is not None:
        writer.close()
    return count


WRITERS = {".npz": write_npz, ".parquet": write_parquet}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m trainables.encode",
        description="Write the codes that an encoder of a study sends, with splits and labels.",
    )
    parser.add_argument(
        "encoder", type=Path, metavar="FOLDER", help="results/STUDY/encoders/ID of a study"
    )
    parser.add_argument(
        "output", type=Path, metavar="FILE", help="where to: a name that ends in .npz or .parquet"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="image stores (default: results/cache)"
    )
    options = parser.parse_args(arguments)
    try:
        encoder, dataset = _open(options.encoder, options.cache)
        write = WRITERS.get(options.output.suffix)
        if write is None:
            raise ValueError(f"{options.output}: the name must end in {' or '.join(WRITERS)}")
        options.output.parent.mkdir(parents=True, exist_ok=True)
        count = write(encode(encoder, dataset), dataset.attribute_names, options.output)
    except (DataError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shape = "×".join(map(str, encoder.spec.shape))
    print(f"wrote {count} codes of {shape} values to {options.output}")
    return 0


def _open(folder: Path, cache: Path | None) -> tuple[FrozenEncoder, Dataset]:
    """An encoder and the data of the study it belongs to."""
    weights, config = folder / "encoder.pt", folder.parent.parent / "study.yaml"
    for path in (weights, config):
        if not path.is_file():
            raise ValueError(f"{folder} is no encoder of a study: there is no {path}")
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]
    data = DataConfig(**{**settings, "extra_public": None, "extra_images": None})
    dataset = load_dataset(data, cache or folder.parent.parent.parent / "cache")
    return load_encoder(str(weights), data.height, data.width), dataset


if __name__ == "__main__":
    sys.exit(main())
