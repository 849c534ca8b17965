"""What is checked and made before any encoder is trained: images, Φ, its features."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from trainables.data.config import DataConfig
from trainables.data.dataset import check_source, load_dataset
from trainables.data.source import DataError
from trainables.errors import ConfigError
from trainables.experiments.config import PlannedEncoder
from trainables.identity import build_identity, check_identity, face_features, load_or_verify
from trainables.nets.perceptual import check_vgg16_weights
from trainables.precision import WORTHWHILE, bfloat16_gain
from trainables.protectors.config import ProtectorConfig
from trainables.seeding import canonical_json


def check(encoders: Sequence[PlannedEncoder]) -> None:
    """Checks data, weights and batch sizes, decoding no image.

    Raises:
        ConfigError: Naming the field or path, and what is allowed.
    """
    sizes: dict[str, dict[str, int]] = {}
    for encoder in encoders:
        key = canonical_json(encoder.data.model_dump(mode="json"))
        try:
            if key not in sizes:
                sizes[key] = dict(check_source(encoder.data).split_sizes)
            check_identity(encoder.attack)
            if encoder.model.perceptual_weights is not None:
                check_vgg16_weights(encoder.model.perceptual_weights)
            if encoder.probed is not None:
                check_source(encoder.probed)
        except (DataError, ValueError) as error:
            raise ConfigError(f"encoder {encoder.name!r}: {error}") from error
        _check_batches(encoder, sizes[key])


def _check_batches(encoder: PlannedEncoder, sizes: dict[str, int]) -> None:
    wanted = [("attack", encoder.attack.batch_size, "public", 1.0)]
    if isinstance(encoder.protector, ProtectorConfig):
        own = encoder.protector
        wanted += [
            ("protector", own.batch_size, split, own.share) for split in ("private", "public")
        ]
    for part, batch, split, share in wanted:
        if batch > int(sizes[split] * share):
            raise ConfigError(
                f"encoder {encoder.name!r}: {part}.batch_size: {batch} images make a batch, but "
                f"there are {int(sizes[split] * share)} {split!r} ones; lower it, or give more "
                "images"
            )


def prepare(
    encoders: Sequence[PlannedEncoder], cache: Path, device: str, say: Callable[[str], None]
) -> None:
    """Builds what every process would else wait for: image stores, Φ's features of all images.

    Args:
        encoders: What is to be trained and attacked.
        cache: Folder that keeps it.
        device: What the units compute on; a driver that has none of it uses its processor.
        say: Is told what takes a while, and how well Φ tells people apart.
    """
    _warn_of_slow_bfloat16(encoders, device, say)
    device = device if torch.cuda.is_available() else "cpu"
    done: set[str] = set()
    for encoder in encoders:
        data = canonical_json(encoder.data.model_dump(mode="json"))
        judge = canonical_json(encoder.attack.model_dump(mode="json", include=_IDENTITY))
        if data + judge in done:
            continue
        done.add(data + judge)
        dataset = load_dataset(DataConfig(**encoder.data.model_dump()), cache)
        model = build_identity(encoder.attack, dataset, cache, device)
        if model is None:
            continue
        say(f"{model.name} looks at the images of {encoder.data.source}")
        face_features(model, dataset, cache)
        found = load_or_verify(model, dataset, cache)
        if found is not None:
            say(f"{model.name}: AUC {found.auc:.3f} on {found.num_pairs} pairs of each kind")


def _warn_of_slow_bfloat16(
    encoders: Sequence[PlannedEncoder], device: str, say: Callable[[str], None]
) -> None:
    if device != "cpu" or all(encoder.precision != "bf16" for encoder in encoders):
        return
    gain = bfloat16_gain(torch.device(device))
    if gain * WORTHWHILE < 1:
        say(
            f"precision=bf16: a convolution takes {1 / gain:.1f} times as long as in fp32 on this "
            "processor, which lacks bfloat16 arithmetic; without it this would be faster"
        )


_IDENTITY = {
    "identity_model",
    "identity_weights",
    "identity_size",
    "identity_range",
    "identity_crop",
}
"""Settings of Φ."""
