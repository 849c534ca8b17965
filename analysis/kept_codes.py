"""Reads what a study keeps of an encoder's codes, and believes nothing of it.

Files come back from MLflow, and anyone may have put them there.
"""

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CODES_FILE = "codes.npz"
MAX_FILE_BYTES, MAX_ARRAY_BYTES = 1 << 20, 1 << 21
"""Of the file and of each array in it, unpacked: a study's take some 60 kB."""
MAX_COMPONENTS, MAX_NAME = 64, 100
MIN_IMAGES = 10
"""Images below which codes show nothing."""
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What numpy writes; another one's file may ask for as much memory as it likes."""


@dataclass(frozen=True)
class KeptCodes:
    """Codes of some test images of one encoder, in brief.

    Attributes:
        components: Their principal components, float64 [N, K], in units of the largest.
        labels: 0 or 1, [N, U + P], of the attributes named next.
        utility: Names of the utility attributes, U.
        private: Names of the private ones, P.
        share: Of the codes' variance that the components keep, in [0, 1].
        num_values: Values of a whole code.
    """

    components: NDArray[np.float64]
    labels: NDArray[np.uint8]
    utility: tuple[str, ...]
    private: tuple[str, ...]
    share: float
    num_values: int


def read_codes(path: Path) -> KeptCodes | None:
    """Reads `codes.npz`; None where it is not what a study writes, whatever else it is."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        with zipfile.ZipFile(path) as archive:
            codes, labels, utility, private, share, values = (
                _array(archive, name)
                for name in ("codes", "labels", "utility", "private", "share", "num_values")
            )
        return _checked(codes, labels, _names(utility), _names(private), share, values)
    except Exception:  # zipfile, zlib, tokenize and numpy: each has its own for what is damaged
        return None


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    """One array of an archive, no larger than it may be, without pickles.

    Raises:
        ValueError: It is too large, or its header promises something else than there is.
    """
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in COMPRESSIONS:
        raise ValueError(f"{name}: packed in another way than numpy's")
    with archive.open(info) as member:
        content = member.read(MAX_ARRAY_BYTES + 1)
    if len(content) > MAX_ARRAY_BYTES:
        raise ValueError(f"{name}: more than {MAX_ARRAY_BYTES} bytes")
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name}: not in version 1.0 of numpy's format")
    shape, by_column, kind = np.lib.format.read_array_header_1_0(file)
    # Before anything of that size is made.
    promised = math.prod(shape) * kind.itemsize
    if kind.hasobject or by_column or promised != len(content) - file.tell():
        raise ValueError(f"{name}: the header does not fit the content")
    return np.frombuffer(content, kind, offset=file.tell()).reshape(shape)


def _names(names: NDArray[np.generic]) -> tuple[str, ...]:
    if names.dtype.kind != "U" or names.ndim != 1:
        raise ValueError("names of attributes: texts are needed")
    found = tuple(str(name) for name in names)
    if any(not 0 < len(name) <= MAX_NAME for name in found) or len(set(found)) < len(found):
        raise ValueError(f"names of attributes: all different, of 1 to {MAX_NAME} characters")
    return found


def _checked(
    codes: NDArray[np.generic],
    labels: NDArray[np.generic],
    utility: tuple[str, ...],
    private: tuple[str, ...],
    share: NDArray[np.generic],
    num_values: NDArray[np.generic],
) -> KeptCodes | None:
    if codes.dtype.kind != "f" or codes.ndim != 2 or labels.dtype != np.uint8:
        return None
    components = codes.astype(np.float64)
    if not (len(components) >= MIN_IMAGES and 1 <= components.shape[1] <= MAX_COMPONENTS):
        return None
    if labels.shape != (len(components), len(utility) + len(private)):
        return None
    known = labels.astype(np.uint8)
    if share.dtype.kind != "f" or num_values.dtype.kind != "i" or share.size * num_values.size != 1:
        return None
    kept, count = float(share.reshape(-1)[0]), int(num_values.reshape(-1)[0])
    if not (np.abs(components) <= 1).all():  # nor is what is no number
        return None
    # Rounding may bring a share a little above 1.
    if not (0 <= kept <= 1.001 and count >= 1):
        return None
    if known.size and known.max() > 1:
        return None
    return KeptCodes(components, known, utility, private, min(kept, 1.0), count)
