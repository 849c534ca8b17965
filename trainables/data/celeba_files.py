"""CelebA's text files, read strictly: a file that does not add up is refused, with its line."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.source import DataError
from trainables.seeding import file_hash

_COUNT, _NUMBER = re.compile(r"[0-9]{1,9}"), re.compile(r"-?[0-9]{1,18}")
_NAME = re.compile(r"(?=.{1,100}$)\w[\w-]*(\.[\w-]+)*")
_SUBFOLDERS = ("", "Anno", "Eval", "Img")  # flat, as unpacked by most; or as distributed


@dataclass(frozen=True)
class AttributeFile:
    """`list_attr_celeba.txt`, its names read and its values not yet.

    Attributes:
        path: The file.
        sha256: Hash of its bytes.
        attribute_names: The second line.
        image_names: File name of each row.
        values: The rest of each row, as text.
    """

    path: Path
    sha256: str
    attribute_names: tuple[str, ...]
    image_names: tuple[str, ...]
    values: tuple[str, ...]

    def labels(self, num_images: int) -> NDArray[np.uint8]:
        """Values of the first rows, [num_images, A], −1 turned into 0.

        Every row is checked, used or not.

        Raises:
            DataError: A row has not one value of ±1 for each attribute.
        """
        labels = np.empty((len(self.values), len(self.attribute_names)), dtype=np.uint8)
        for row, text in enumerate(self.values):
            tokens = text.split()
            where = f"{self.path}, line {row + 3} ({self.image_names[row]})"
            if len(tokens) != len(self.attribute_names):
                raise DataError(
                    f"{where}: must hold {len(self.attribute_names)} values, one per attribute, "
                    f"got {len(tokens)}"
                )
            if wrong := set(tokens) - {"1", "-1"}:
                raise DataError(f"{where}: values must be 1 or -1, got {min(wrong)!r}")
            labels[row] = [token == "1" for token in tokens]
        return labels[:num_images]


def find(root: Path, name: str) -> Path | None:
    """The file or folder of this name in CelebA's folder, whichever of the two layouts it has."""
    for folder in _SUBFOLDERS:
        if (path := root / folder / name).exists():
            return path
    return None


def require(root: Path, name: str) -> Path:
    """As `find`, but it must be there.

    Raises:
        DataError: There is no such folder, or nothing of that name in it.
    """
    if not root.is_dir():
        raise DataError(f"data.root: {root} is no folder; give the folder that holds {name}")
    path = find(root, name)
    if path is None:
        raise DataError(f"{root / name}: missing; CelebA's folder must hold it")
    return path


def _read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path}: is empty")
    return lines


def read_attribute_file(path: Path) -> AttributeFile:
    """Reads count, attribute names and image names.

    Raises:
        DataError: The file is empty, its count is not the number of its rows, a name is repeated,
            or an image is not a plain file name.
    """
    lines = _read_lines(path)
    if not _COUNT.fullmatch(lines[0].strip()):
        raise DataError(f"{path}, line 1: must be the number of images, got {lines[0][:40]!r}")
    names = tuple(lines[1].split()) if len(lines) > 1 else ()
    if not names:
        raise DataError(f"{path}, line 2: must hold the attribute names, it is empty or missing")
    for name in names:
        if not _NAME.fullmatch(name):
            raise DataError(
                f"{path}, line 2: attribute {name[:60]!r} cannot be a part of a metric's name: "
                "letters, digits, _, - and single dots may stand in it, up to 100"
            )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}, line 2: attribute {twice!r} is named twice")
    if int(lines[0]) != len(lines) - 2:
        raise DataError(
            f"{path}: line 1 says {int(lines[0])} images, the file has {len(lines) - 2} rows"
        )
    rows = [line.split(maxsplit=1) for line in lines[2:]]
    for number, row in enumerate(rows, 3):
        if not row:
            raise DataError(f"{path}, line {number}: is empty")
        _check_plain(path, number, row[0])
    image_names = tuple(row[0] for row in rows)
    _check_unique(path, image_names)
    values = tuple(row[1] if len(row) > 1 else "" for row in rows)
    return AttributeFile(path, file_hash(path), names, image_names, values)


def _check_plain(path: Path, number: int, name: str) -> None:
    """An image must lie in the image folder itself: a list must not read the user's other files."""
    if "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
        raise DataError(
            f"{path}, line {number}: must name a file in the image folder, without a path, "
            f"got {name!r}"
        )


def _check_unique(path: Path, names: tuple[str, ...]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{path}: image {name!r} is listed twice")
        seen.add(name)


def read_numbers(
    path: Path, image_names: tuple[str, ...], allowed: Collection[int] | None = None
) -> NDArray[np.int64]:
    """Reads a file of `name number` rows, as the identities and the partition are.

    Args:
        path: The file.
        image_names: The images whose numbers are wanted.
        allowed: Values a number may have; None allows all.

    Returns:
        The numbers [N], in the order of `image_names`.

    Raises:
        DataError: A row is malformed, a value is not allowed, or an image has no row.
    """
    numbers: dict[str, int] = {}
    for index, line in enumerate(_read_lines(path), 1):
        tokens = line.split()
        if len(tokens) != 2 or not _NUMBER.fullmatch(tokens[1]):
            raise DataError(
                f"{path}, line {index}: must be an image's name and a number, got {line[:60]!r}"
            )
        number = int(tokens[1])
        if allowed is not None and number not in allowed:
            raise DataError(f"{path}, line {index}: must be one of {sorted(allowed)}, got {number}")
        numbers[tokens[0]] = number
    for name in image_names:
        if name not in numbers:
            raise DataError(f"{path}: has no row for image {name!r} ({len(numbers)} rows)")
    return np.fromiter((numbers[name] for name in image_names), np.int64, len(image_names))
