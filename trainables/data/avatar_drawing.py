"""Drawing faces from factors: back to front, shape after shape, for a whole batch at once."""

import numpy as np
from numpy.typing import NDArray

from trainables.data.avatar_canvas import Array, Canvas, arc, column, ellipse, rounded_box
from trainables.data.avatar_face import Face, hue
from trainables.data.avatar_factors import Factors


def draw(image: Factors, identity: Factors, height: int, width: int) -> NDArray[np.uint8]:
    """Draws a batch of avatars.

    Args:
        image: Factors of the images, each [n].
        identity: Factors of the people on them, each [n].
        height: Pixels.
        width: Pixels.

    Returns:
        uint8 [n, height, width, 3].
    """
    face = Face(image, identity)
    canvas = _posed_canvas(image, height, width)
    for layer in _LAYERS:
        layer(canvas, face)
    pixels = canvas.pixels
    pixels *= _light(image, canvas)
    np.clip(pixels, 0, 1, out=pixels)
    pixels *= 255
    pixels += 0.5
    return np.ascontiguousarray(pixels.astype(np.uint8).transpose(1, 2, 3, 0))


def _posed_canvas(image: Factors, height: int, width: int) -> Canvas:
    """Background, and face coordinates under each image's shift, rotation and scale."""
    unit = min(height, width) / 2
    across = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / unit)[None, None, :]
    down = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / unit)[None, :, None]
    angle = column(0.26 * (image["rotation"] - 0.5))
    scale = column(0.94 + 0.12 * image["scale"])
    moved_x = across - column(0.14 * (image["shift_x"] - 0.5))
    moved_y = down - column(0.14 * (image["shift_y"] - 0.5) + 0.06)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    x = (moved_x * cosine + moved_y * sine).astype(np.float32)
    y = (moved_y * cosine - moved_x * sine).astype(np.float32)

    turn = column(2 * np.pi * image["background_angle"])
    blend = np.clip(0.5 + 0.4 * (across * np.cos(turn) + down * np.sin(turn)), 0, 1)
    start = hue(image["background_hue"], 0.35, 0.35 + 0.6 * image["background_value"])
    end = hue(image["background_hue_end"], 0.35, 0.35 + 0.6 * image["background_value_end"])
    pixels = np.stack(
        [column(start[:, c]) * (1 - blend) + column(end[:, c]) * blend for c in range(3)]
    ).astype(np.float32)
    return Canvas(pixels, x, y, (1 / (unit * scale)).astype(np.float32), unit)


def _light(image: Factors, canvas: Canvas) -> Array:
    """Brightness from one side, [n, h, w] around 1."""
    angle = column(2 * np.pi * image["light_angle"])
    strength = column(0.28 * image["light_strength"])
    light: Array = canvas.x * (np.cos(angle) * strength) + canvas.y * (np.sin(angle) * strength)
    light += column(0.88 + 0.2 * image["exposure"])
    return light


def _back_hair(canvas: Canvas, face: Face) -> None:
    """Hair behind the head, from short to shoulder length."""
    half_y = (face.head_y + face.hair_length) / 2
    middle = (face.hair_length - face.head_y) / 2
    wide = face.head_x + face.hair_volume + 0.02
    shape = rounded_box(canvas.x, canvas.y - middle, wide, half_y, wide * 0.8)
    canvas.paint(shape, face.hair * 0.78)


def _shoulders(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-1.3, 0.4, 1.3, 2.0)
    part.paint(ellipse(part.x, part.y - 1.32, _like(face, 0.86), _like(face, 0.5)), face.clothes)
    neck = rounded_box(part.x, part.y - 0.66, face.neck_x, _like(face, 0.26), _like(face, 0.1))
    part.paint(neck, face.skin * 0.8)


def _ears(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.7, -0.15, 0.7, 0.3)
    aside = np.abs(part.x) - face.head_x * 0.98
    part.paint(ellipse(aside, part.y - 0.03, face.ear * 0.75, face.ear * 1.2), face.skin * 0.88)


def _head(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.62, -0.72, 0.62, 0.72)
    # The jaw narrows the head below the eyes: x is stretched as y grows.
    lower = np.maximum(part.y, 0) / face.head_y
    x = part.x * (1 + face.jaw * lower * lower * 2)
    part.paint(ellipse(x, part.y, face.head_x, face.head_y), face.skin)
    inner = ellipse(x, part.y + 0.03, face.head_x, face.head_y)
    shade = np.clip(1 + inner / (0.55 * face.head_x), 0, 1) * part.cover(
        ellipse(x, part.y, face.head_x, face.head_y)
    )
    part.blend(shade * shade * 0.35, face.skin * _tint(0.70, 0.58, 0.55))


def _cheeks(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.5, 0.0, 0.5, 0.45)
    across = (np.abs(part.x) - face.head_x * 0.58) / 0.16
    along = (part.y - 0.2) / 0.12
    glow = np.clip(1 - across * across - along * along, 0, 1)
    part.blend(glow * 0.22, face.skin * _tint(1.05, 0.70, 0.66))


def _beard(canvas: Canvas, face: Face) -> None:
    """Chin, cheeks up to the ears, and the moustache."""
    part = canvas.window(-0.6, 0.0, 0.6, 0.85)
    lower = np.maximum(part.y, 0) / face.head_y
    x = part.x * (1 + face.jaw * lower * lower * 2)
    inside = ellipse(x, part.y - face.beard_y / 2, face.head_x + 0.015, face.head_y + face.beard_y)
    along = part.x / face.head_x
    line = (face.mouth_y - 0.10) - 0.30 * along * along * along * along - part.y
    chin = np.maximum(inside, line * 0.8)
    # Skin shows around the mouth, so that lips stay visible under the moustache.
    part.paint(chin, face.beard, face.only("Beard"))


def _nose(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.2, -0.15, 0.2, 0.32)
    along = np.clip((part.y + 0.05) / (face.nose_y + 0.05), 0, 1)
    bridge = np.abs(part.x + 0.02) - face.nose_x * (0.25 + 0.55 * along)
    shape = np.maximum(bridge, np.abs(part.y - (face.nose_y - 0.05) / 2) - face.nose_y / 2 - 0.03)
    part.paint(shape, face.skin * 0.90, 0.6)
    tip = ellipse(part.x, part.y - face.nose_y, face.nose_x, _like(face, 0.035))
    part.paint(tip, face.skin * _tint(0.66, 0.56, 0.54), 0.9)
    shine = ellipse(
        part.x - 0.012, part.y - face.nose_y + 0.05, face.nose_x * 0.5, _like(face, 0.04)
    )
    part.paint(shine, np.minimum(face.skin * 1.12, 1), 0.7)


def _eyes(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.42, -0.26, 0.42, 0.12)
    x, y = np.abs(part.x) - face.eye_x, part.y - face.eye_y
    y = y + x * face.eye_tilt
    size = face.eye_size
    lid = ellipse(x, y + 0.012, size * 1.22, size * 0.86)
    part.paint(lid, face.skin * 0.45)
    white = ellipse(x, y, size * 1.12, size * 0.74)
    part.paint(white, _colour(face, 0.97, 0.97, 0.96))
    gaze_x = x - np.sign(part.x) * face.gaze
    iris = np.maximum(ellipse(gaze_x, y, size * 0.64, size * 0.64), white)
    part.paint(iris, face.eyes)
    part.paint(ellipse(gaze_x, y, size * 0.32, size * 0.32), _colour(face, 0.02, 0.02, 0.03))
    spark = ellipse(
        gaze_x + np.sign(part.x) * size * 0.2, y + size * 0.25, size * 0.15, size * 0.15
    )
    part.paint(spark, _colour(face, 1.0, 1.0, 1.0))


def _brows(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.45, -0.38, 0.45, -0.1)
    x, y = np.abs(part.x) - face.eye_x, part.y - face.brow_y
    y = y - x * face.brow_tilt
    stroke = arc(x, y, face.eye_size * 1.45, _like(face, 0.045), face.brow_thick)
    part.paint(stroke, face.brows)


def _mouth(canvas: Canvas, face: Face) -> None:
    """Lips along a parabola, and between them the opening with its upper teeth."""
    part = canvas.window(-0.36, 0.15, 0.36, 0.62)
    along = part.x / face.mouth_x
    taper = 1 - along * along
    # The corners rise by the smile, the middle sinks by half of it.
    y = part.y - face.mouth_y - face.smile * (0.5 - along * along)
    y = y - face.opening * 0.3 * taper
    ends = np.abs(part.x) - face.mouth_x
    lips = np.maximum(np.abs(y) - (face.opening + face.lip) * taper - 0.012, ends)
    part.paint(lips, face.skin * _tint(0.45, 0.25, 0.28) + _tint(0.36, 0.05, 0.07))
    gap = np.maximum(np.abs(y) - face.opening * taper - 0.006, ends + 0.02)
    part.paint(gap, _colour(face, 0.22, 0.03, 0.05))
    teeth = np.maximum(gap + 0.008, y + face.opening * taper * 0.25)
    part.paint(teeth, _colour(face, 0.97, 0.96, 0.93), face.only("Mouth_Open"))


def _front_hair(canvas: Canvas, face: Face) -> None:
    """The cap of hair above the hair line, and a strand down each side."""
    part = canvas.window(-0.72, -0.85, 0.72, 0.2)
    cap = ellipse(
        part.x,
        part.y + 0.03,
        face.head_x + face.hair_volume,
        face.head_y + face.hair_volume,
    )
    along = part.x / face.head_x
    away = along - face.hair_part
    line = part.y - (face.hair_line - 0.10 + 0.34 * away * away + 0.30 * along**4)
    part.paint(np.maximum(cap, line), face.hair)
    shine = np.maximum(cap + 0.06, line + 0.05)
    sheen = part.cover(shine) * np.clip(1 - np.abs(away + 0.25) * 3, 0, 1)
    part.blend(sheen * 0.22, np.minimum(face.hair * 1.2 + 0.22, 1))


def _earrings(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.72, 0.08, 0.72, 0.36)
    aside = np.abs(part.x) - face.head_x * 1.04
    below = part.y - 0.03 - face.ear * 1.2 - 0.075
    ring = np.hypot(aside, below) - 0.075
    present = face.only("Earrings")
    part.paint(ring - 0.012, _colour(face, 0.35, 0.22, 0.02), present)
    part.paint(ring + 0.012, _colour(face, 1.0, 0.84, 0.20), present)


def _glasses(canvas: Canvas, face: Face) -> None:
    part = canvas.window(-0.66, -0.26, 0.66, 0.2)
    present = face.only("Eyeglasses")
    x, y = np.abs(part.x) - face.eye_x, part.y - face.eye_y - 0.035
    # The two lenses must leave a bridge between them, however close the eyes are.
    half = np.minimum(_like(face, 0.19), face.eye_x - 0.03)
    lens = rounded_box(x, y, half, _like(face, 0.135), _like(face, 0.09))
    part.paint(lens, _colour(face, 0.85, 0.93, 1.0), present * 0.22)
    part.paint(np.abs(lens) - 0.026, face.frame, present)
    bridge = np.maximum(np.abs(y + 0.04) - 0.022, np.abs(part.x) - (face.eye_x - half))
    part.paint(bridge, face.frame, present)
    temple = np.maximum(np.abs(y + 0.05) - 0.02, half - x)
    temple = np.maximum(temple, np.abs(part.x) - face.head_x)
    part.paint(temple, face.frame, present)


def _hat(canvas: Canvas, face: Face) -> None:
    """A dome above the hair line, a band, and a brim."""
    part = canvas.window(-0.8, -1.1, 0.8, -0.2)
    present = face.only("Hat")
    wide = face.head_x + face.hair_volume + 0.03
    edge = part.y - (face.hair_line - 0.06 + 0.10 * (part.x / wide) ** 2)
    dome = np.maximum(ellipse(part.x, part.y - face.hair_line, wide, _like(face, 0.54)), edge)
    part.paint(dome, face.hat, present)
    part.paint(np.maximum(dome, -edge - 0.15), face.hat * 0.45, present)
    brim = ellipse(part.x, edge - 0.01, wide * 1.18, _like(face, 0.055))
    part.paint(brim, face.hat * 0.7, present)


_LAYERS = (
    _back_hair, _shoulders, _ears, _head, _cheeks, _beard, _nose, _eyes, _brows, _mouth,
    _front_hair, _earrings, _glasses, _hat,
)  # fmt: skip


def _tint(red: float, green: float, blue: float) -> Array:
    return np.array([red, green, blue], dtype=np.float32)


def _like(face: Face, value: float) -> Array:
    return np.full_like(face.head_x, value)


def _colour(face: Face, red: float, green: float, blue: float) -> Array:
    rows = np.empty((len(face.skin), 3), dtype=np.float32)
    rows[:] = (red, green, blue)
    return rows
