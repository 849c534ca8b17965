"""Painting a batch of anti-aliased shapes: signed distances in, blended pixels out.

Units: the shorter side of the image is 2 wide, x to the right, y down, the origin in the middle.
A signed distance is negative inside a shape; at one pixel's width around 0 the shape fades.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Always float32 in fact; numpy's type stubs cannot follow that through arithmetic with numbers.
Array = NDArray[Any]

# A face coordinate can lie this much further out in the image: shift, then rotation and scale.
_SHIFT_MARGIN, _TURN_MARGIN = 0.09, 0.2


class Canvas:
    """A window onto a batch of images, with face coordinates for each of its pixels.

    Attributes:
        x: Face coordinate to the right, [n, h, w].
        y: Face coordinate down, [n, h, w].
    """

    def __init__(self, pixels: Array, x: Array, y: Array, pixel: Array, unit: float) -> None:
        """Wraps arrays that share memory with the whole image.

        Args:
            pixels: Colours in [0, 1], [3, n, h, w]; painted in place.
            x: Face coordinates, [n, h, w].
            y: Face coordinates, [n, h, w].
            pixel: A pixel's width in face coordinates, [n, 1, 1].
            unit: Pixels per image unit.
        """
        self.pixels, self.x, self.y, self._pixel, self._unit = pixels, x, y, pixel, unit

    def window(self, left: float, top: float, right: float, bottom: float) -> "Canvas":
        """The part of the image where a box of the face can lie, whatever the pose."""
        reach = max(abs(left), abs(right)), max(abs(top), abs(bottom))
        margin = _SHIFT_MARGIN + _TURN_MARGIN * float(np.hypot(*reach))
        height, width = self.x.shape[1:]
        rows = self._pixels_between(top - margin, bottom + margin, height)
        columns = self._pixels_between(left - margin, right + margin, width)
        return Canvas(
            self.pixels[:, :, rows, columns],
            self.x[:, rows, columns],
            self.y[:, rows, columns],
            self._pixel,
            self._unit,
        )

    def _pixels_between(self, low: float, high: float, size: int) -> slice:
        first = int(np.floor(low * self._unit + size / 2))
        last = int(np.ceil(high * self._unit + size / 2))
        return slice(max(0, first), min(size, max(last, 1)))

    def cover(self, distance: Array) -> Array:
        """How much of each pixel lies inside the shape, 0 to 1."""
        share: Array = distance * (-1 / self._pixel)
        share += 0.5
        np.clip(share, 0, 1, out=share)
        return share

    def paint(self, distance: Array, colour: Array, opacity: Array | float = 1.0) -> None:
        """Paints a shape.

        Args:
            distance: Signed distance to its edge, [n, h, w].
            colour: [n, 3] or, for a colour that varies over the window, [3, n, h, w].
            opacity: 0 (not there) to 1, a number or one per image [n].
        """
        share = self.cover(distance)
        if isinstance(opacity, np.ndarray):
            share *= column(opacity)
        elif opacity != 1.0:
            share *= np.float32(opacity)
        self.blend(share, colour)

    def blend(self, share: Array, colour: Array) -> None:
        """Mixes a colour in by the given share of each pixel, [n, h, w]."""
        for channel in range(3):
            target = colour[channel] if colour.ndim == 4 else column(colour[:, channel])
            step = target - self.pixels[channel]
            step *= share
            self.pixels[channel] += step


def column(values: Array) -> Array:
    """[n] as [n, 1, 1], to meet [n, h, w]."""
    broadcast: Array = values[:, None, None]
    return broadcast


def ellipse(x: Array, y: Array, radius_x: Array, radius_y: Array) -> Array:
    """Signed distance to an ellipse around the origin, exact to first order at its edge."""
    scaled_x, scaled_y = x / radius_x, y / radius_y
    level = np.sqrt(scaled_x * scaled_x + scaled_y * scaled_y)
    scaled_x /= radius_x
    scaled_y /= radius_y
    slope = np.sqrt(scaled_x * scaled_x + scaled_y * scaled_y)
    slope += np.float32(1e-6)
    distance: Array = level * (level - 1)
    distance /= slope
    return distance


def rounded_box(x: Array, y: Array, half_x: Array, half_y: Array, corner: Array) -> Array:
    """Signed distance to a box around the origin with rounded corners."""
    over_x, over_y = np.abs(x) - (half_x - corner), np.abs(y) - (half_y - corner)
    outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0))
    distance: Array = outside + np.minimum(np.maximum(over_x, over_y), 0) - corner
    return distance


def arc(x: Array, y: Array, half_length: Array, bend: Array, thickness: Array) -> Array:
    """Signed distance, roughly, to a stroke along the parabola y = bend·(x/half_length)²."""
    along = x / half_length
    off = np.abs(y - bend * along * along) - thickness
    distance: Array = np.maximum(off, np.abs(x) - half_length)
    return distance
