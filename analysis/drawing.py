"""What all figures share: colours, marks, sizes, and how a figure becomes a file."""

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, UnidentifiedImageError

INK, SOFT, FAINT = "#22252a", "#6b7078", "#d9dce1"
CUT_STYLES = {
    "conv1": ("#0072B2", "o"),
    "conv2": ("#56B4E9", "s"),
    "conv3": ("#009E73", "^"),
    "conv4": ("#E69F00", "D"),
    "avgpool": ("#D55E00", "v"),
    "fc": ("#CC79A7", "P"),
}
CUT_STYLES |= {
    # The other backbones' cuts: one study has one backbone, so nothing is confused.
    **dict(zip(("pool1", "pool2", "pool3", "pool4", "pool5"), CUT_STYLES.values(), strict=False)),
    "code": CUT_STYLES["conv1"],
}
OTHER_CUT = (SOFT, "h")
METHOD_COLOURS = {
    "reconstruction": "#0072B2",
    "label_flip": "#D55E00",
    "obfuscator": "#009E73",
    "none": "#b4b8be",
    "identity": "#56B4E9",
    "blur": "#CC79A7",
    "noise": "#E69F00",
    "labels": INK,
}
OTHER_METHOD = "#8c6d1f"
LINES: list[tuple[str, Any]] = [
    (colour, style)
    for style in ("-", "--", ":")
    for colour in ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#22252a")
]
PIXELS_PER_INCH = {"png": 160, "svg": 90}
"""Of an `svg` those parts alone that are pixels in it: marks by the thousand."""
STYLE: Any = {  # matplotlib types the keys as a literal of its 300 settings
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "cutpoint",  # the same figure is the same file
}

WIDE, NARROW = (7.4, 4.7), (4.0, 4.9)
"""Inches: for a page, and for a phone, where a shrunken page would be unreadable."""


def single_axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure of one pair of axes with a faint grid, `size` in inches."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    add_grid(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure, axes


def of_split(split: str, number: int | None) -> str:
    """Which images an axis is about: `(test, n = 480 images)`, without n where it is not known."""
    return f"({split})" if number is None else f"({split}, n = {number:,} images)"


def add_grid(axes: Axes) -> None:
    """A faint grid behind everything else."""
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)


def render(figure: Figure, form: str, of: str = "") -> bytes:
    """The figure as a `png` or `svg` file, the same bytes every time.

    Args:
        figure: What to draw.
        form: Which of the two.
        of: What a `png` is to say of its origin, in its field `Source`.
    """
    buffer = io.BytesIO()
    source = {"Source": of} if of else {}
    metadata = {"Date": None} if form == "svg" else {"Software": None, **source}
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=form, dpi=PIXELS_PER_INCH[form], metadata=metadata)
    return buffer.getvalue()


def save_figure(figure: Figure, folder: Path, name: str, svg: bytes | None = None) -> list[Path]:
    """Writes `name.png` and `name.svg` to a folder, which is made if it is not there.

    Args:
        figure: What to write.
        folder: Where to.
        name: Without an ending.
        svg: The figure as `render` made it, if it was called already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for form, drawn in (("png", None), ("svg", svg)):
        path = folder / f"{name}.{form}"
        path.write_bytes(drawn or render(figure, form))
        paths.append(path)
    return paths


def data_uri(content: bytes, form: str) -> str:
    """An image of a form such as `svg+xml` as an address that needs no file."""
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"


def read_image(path: Path) -> np.ndarray:
    """An image file as height × width × 3 bytes.

    Raises:
        ValueError: It cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"strip {path} cannot be read as an image: {error}") from error
