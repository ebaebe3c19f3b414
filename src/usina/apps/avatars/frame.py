"""The square that becomes the avatar: level, with room over the head, never stretched."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from usina.apps.avatars.eye import Box
from usina.apps.avatars.face import Face
from usina.imaging.array import Bytes, Field, Field32
from usina.imaging.opencv import halve, stretch

FACE_SHARE = 0.43
"""How much of the square's height the face has, from the middle of the forehead to the chin."""

_CLOSEST_SHARE = 0.62
_FACE_MIDDLE = 0.475
_LEVELLED = 0.75
_MOST_ROLL = 30.0
_SHIFT = 0.14
_WHITE = 242.0
_MOST_GAIN = 3.0


@dataclass(frozen=True, slots=True)
class Frame:
    """``rgb`` ``(s, s, 3)`` is the square, ``inside`` ``(s, s)`` how much of each pixel the photo
    has (0 to 1; the rest was filled in), ``face`` where the face lies in it, None without one, and
    ``enlarged`` how many pixels were made of one of the photo's, along a side."""

    rgb: Bytes
    inside: Field32
    face: Box | None
    enlarged: float

    @property
    def size(self) -> int:
        return self.rgb.shape[0]


def frame_face(rgb: Bytes, face: Face | None, size: int) -> Frame:
    """The square of ``size`` pixels around the ``face``; around the middle without one."""
    if face is None:
        return _cut(rgb, _middle(rgb), 0.0, size, None)
    roll = max(-_MOST_ROLL, min(_MOST_ROLL, face.roll)) * _LEVELLED
    window = _window(rgb.shape[1], rgb.shape[0], face, roll)
    return _cut(rgb, window, roll, size, face)


@dataclass(frozen=True, slots=True)
class _Window:
    """A square of the photo: its middle, and its side, in pixels."""

    x: float
    y: float
    side: float


def _middle(rgb: Bytes) -> _Window:
    """The largest square of the photo; of an upright one the upper part, where faces are."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    return _Window(width / 2, side / 2 if height > width else height / 2, side)


def _window(width: int, height: int, face: Face, roll: float) -> _Window:
    """Around the face; where the photo ends early, moved a little and then closer, so that as
    little as can be has to be filled in."""
    x, y = face.centre
    box = face.box[3]
    grown = abs(math.cos(math.radians(roll))) + abs(math.sin(math.radians(roll)))
    side = box / FACE_SHARE
    closest = box / _CLOSEST_SHARE
    while True:
        middle = _Window(x, y + (0.5 - _FACE_MIDDLE) * side, side)
        reach = side * (1 + 0.5 * (grown - 1)) / 2
        move = _SHIFT * side
        moved_x = _towards(middle.x, reach, width - reach, move)
        moved_y = _towards(middle.y, reach, height - reach, move / 2)
        outside = max(0.0, reach - moved_x, moved_x + reach - width, moved_y + reach - height)
        if outside < 0.01 * side or side <= closest:
            return _Window(moved_x, moved_y, side)
        side = max(closest, side * 0.97)


def _towards(value: float, low: float, high: float, most: float) -> float:
    """``value`` brought between the bounds, or as near as a move of ``most`` comes."""
    wanted = (low + high) / 2 if low > high else min(max(value, low), high)
    return value + max(-most, min(most, wanted - value))


def _cut(rgb: Bytes, window: _Window, roll: float, size: int, face: Face | None) -> Frame:
    scale = size / window.side
    turn = cv2.getRotationMatrix2D((window.x, window.y), roll, scale).astype(np.float64)
    turn[:, 2] += size / 2 - np.array([window.x, window.y])
    source = _smooth_for(rgb, scale)
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    drawn = cv2.warpAffine(source, turn, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    ones = np.ones(rgb.shape[:2], np.float32)
    inside = cv2.warpAffine(ones, turn, (size, size), flags=cv2.INTER_LINEAR).astype(np.float32)
    filled = _lit(_fill(drawn.astype(np.uint8, copy=False), inside))
    return Frame(filled, inside, _placed(face, turn, scale), scale)


def _placed(face: Face | None, turn: Field, scale: float) -> Box | None:
    if face is None:
        return None
    x, y = (float(value) for value in turn @ np.array([*face.centre, 1.0]))
    width, height = face.box[2] * scale, face.box[3] * scale
    return x - width / 2, y - height / 2, width, height


def _smooth_for(rgb: Bytes, scale: float) -> Bytes:
    """Blurred as much as shrinking to ``scale`` needs, so that nothing aliases."""
    if scale >= 0.75:
        return rgb
    return cv2.GaussianBlur(rgb, (0, 0), 0.42 / scale).astype(np.uint8, copy=False)


def _fill(rgb: Bytes, inside: Field32) -> Bytes:
    """Beyond the photo its colours go on, ever softer: what is known is averaged over ever larger
    squares, and the finest that knows something is taken."""
    if inside.min() > 0.999:
        return rgb
    size = rgb.shape[0]
    known = np.dstack([rgb.astype(np.float32) * inside[..., None], inside])
    levels: list[Field32] = [known.astype(np.float32)]
    while levels[-1].shape[0] > 2:
        levels.append(halve(levels[-1]))
    answer = levels[-1]
    for level in reversed(levels[2:-1]):
        coarse = stretch(_whole(answer), *level.shape[1::-1])
        answer = (level + np.maximum(0, 1 - level[..., 3:]) * coarse).astype(np.float32)
    soft = cv2.GaussianBlur(stretch(_whole(answer), size, size)[..., :3], (0, 0), size / 60)
    edge = np.asarray(cv2.GaussianBlur(inside, (0, 0), size / 150), np.float32)
    cover = (np.clip(2 * edge - 1, 0, 1) * inside)[..., None]
    return np.clip(rgb * cover + soft * (1 - cover) + 0.5, 0, 255).astype(np.uint8)


def _whole(weighed: Field32) -> Field32:
    """Colours that were weighed by how much is known of them, as they are."""
    return (weighed / np.maximum(weighed[..., 3:], 1e-6)).astype(np.float32)


def _lit(rgb: Bytes) -> Bytes:
    """As bright as its brightest parts allow; colours and contrasts stay in proportion, so that
    nobody's skin is made another."""
    white = float(np.percentile(rgb.max(axis=2)[::4, ::4], 99.0))
    gain = min(_MOST_GAIN, _WHITE / max(white, 1.0))
    if gain <= 1.0:
        return rgb
    return np.clip(rgb.astype(np.float32) * gain + 0.5, 0, 255).astype(np.uint8)
