"""From uniform factors to the lengths and colours of a face."""

import numpy as np
from numpy.typing import NDArray

from trainables.data.avatar_canvas import Array, column
from trainables.data.avatar_factors import ATTRIBUTES, Factors

_SKIN_PALE = ((1.00, 0.87, 0.79), (0.94, 0.76, 0.64))
_SKIN_TAN = ((0.68, 0.46, 0.31), (0.42, 0.26, 0.17))
_HAIR_LIGHT = ((0.98, 0.88, 0.52), (0.93, 0.58, 0.20), (0.86, 0.85, 0.84))
_HAIR_DARK = ((0.05, 0.04, 0.05), (0.24, 0.13, 0.07))
_EYES = ((0.23, 0.13, 0.06), (0.20, 0.38, 0.20), (0.22, 0.42, 0.65))
_FRAMES = ((0.05, 0.05, 0.07), (0.40, 0.05, 0.08), (0.06, 0.12, 0.38))


class Face:
    """Numbers of a batch of faces, ready to draw: each attribute is [n, 1, 1].

    Positions and lengths are face coordinates (see `avatar_canvas`), colours [n, 3].
    """

    def __init__(self, image: Factors, identity: Factors) -> None:
        """Turns uniform factors into lengths and colours.

        Args:
            image: As `image_factors`.
            identity: As `identity_factors`, of the people on the same images.
        """
        self.has = {name: image[name] < 0.5 for name in ATTRIBUTES}

        def length(name: str, low: float, high: float) -> Array:
            return column(low + (high - low) * identity[name])

        def pick(name: str, yes: float, no: float) -> Array:
            return column(np.where(self.has[name], np.float32(yes), np.float32(no)))

        self.head_x = length("head_width", 0.97, 1.05) * pick("Round_Face", 0.56, 0.43)
        self.head_y = length("head_height", 0.98, 1.04) * pick("Round_Face", 0.60, 0.66)
        self.jaw = length("jaw", 0.02, 0.16)
        self.eye_x = length("eye_distance", 0.40, 0.47) * self.head_x
        self.eye_y = length("eye_height", -0.10, -0.03)
        self.eye_size = length("eye_size", 0.085, 0.115)
        self.eye_tilt = length("eye_tilt", -0.15, 0.15)
        self.brow_y = self.eye_y - length("brow_height", 0.165, 0.195)
        self.brow_tilt = length("brow_tilt", -0.05, 0.22)
        self.brow_thick = pick("Bushy_Eyebrows", 0.052, 0.014)
        self.nose_y = length("nose_length", 0.12, 0.19)
        self.nose_x = length("nose_width", 0.06, 0.10)
        self.mouth_y = length("mouth_height", 0.335, 0.385)
        self.mouth_x = length("mouth_width", 0.19, 0.25) * pick("Smiling", 1.18, 0.95)
        self.lip = length("lip_fullness", 0.024, 0.04)
        self.smile = pick("Smiling", 0.125, -0.03) * column(0.9 + 0.25 * image["expression"])
        self.opening = pick("Mouth_Open", 0.095, 0.0) * column(0.85 + 0.3 * image["expression"])
        self.hair_line = length("hair_line", -0.46, -0.38)
        self.hair_part = length("hair_part", -0.22, 0.22)
        self.hair_volume = length("hair_volume", 0.05, 0.10)
        self.hair_length = length("hair_length", -0.05, 0.85)
        self.beard_y = length("beard_length", 0.02, 0.10)
        self.ear = length("ear_size", 0.085, 0.115)
        self.neck_x = length("neck_width", 0.22, 0.30)
        self.gaze = column(0.03 * (image["gaze"] - 0.5))

        skin = identity["skin_tone"]
        self.skin = _choose(self.has["Pale_Skin"], _ramp(_SKIN_PALE, skin), _ramp(_SKIN_TAN, skin))
        hair = identity["hair_tone"]
        self.hair = _choose(
            self.has["Dark_Hair"], _ramp(_HAIR_DARK, hair), _ramp(_HAIR_LIGHT, hair)
        )
        # A light beard is drawn darker on pale skin and as it is on tan skin, to stand out on both.
        self.beard = self.hair * np.where(self.has["Pale_Skin"], 0.6, 0.95)[:, None].astype(
            np.float32
        )
        self.brows = self.hair * np.where(self.has["Pale_Skin"], 0.62, 0.2)[:, None].astype(
            np.float32
        )
        self.eyes = _ramp(_EYES, identity["eye_colour"])
        self.frame = _ramp(_FRAMES, image["frame_hue"])
        self.clothes = hue(image["clothes_hue"], 0.55, 0.25 + 0.6 * image["clothes_value"])
        self.hat = hue(image["hat_hue"], 0.75, 0.45 + 0.5 * image["hat_value"])

    def only(self, name: str) -> Array:
        """1 where the attribute is present, else 0, [n]."""
        return self.has[name].astype(np.float32)


def _ramp(stops: tuple[tuple[float, float, float], ...], position: Array) -> Array:
    """Colours along a ramp of evenly spaced stops, [n, 3]."""
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(position, places, [stop[c] for stop in stops]) for c in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)


def _choose(condition: NDArray[np.bool_], yes: Array, no: Array) -> Array:
    chosen: Array = np.where(condition[:, None], yes, no)
    return chosen


def hue(position: Array, saturation: float, value: Array) -> Array:
    """A colour of the wheel, [n, 3]; `position` and `value` in [0, 1]."""
    offsets = np.array([0.0, 1 / 3, 2 / 3], dtype=np.float32)
    wheel = np.abs(((position[:, None] + offsets) % 1.0) * 6 - 3) - 1
    pure = np.clip(wheel, 0, 1)
    colour: Array = (value[:, None] * (1 - saturation + saturation * pure)).astype(np.float32)
    return colour
