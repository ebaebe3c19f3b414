"""Eyes inside a face: whether they are there, and how the head leans."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import cv2
import cv2.data
import numpy as np

from usina.imaging.array import Bytes

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""

_SIDE = 200
"""How many pixels wide a face is made before eyes are looked for in it."""

_MOST_ROLL = 25.0


@dataclass(frozen=True, slots=True)
class Eyes:
    """``points`` are the centres of both eyes, the one at the left of the picture first, in pixels;
    None unless a plausible pair was seen. ``seen`` is 2 for a pair, 1 for an eye alone, else 0."""

    seen: int
    points: tuple[tuple[float, float], tuple[float, float]] | None = None

    @property
    def roll(self) -> float:
        """Degrees by which the line through the eyes falls to the right."""
        if self.points is None:
            return 0.0
        (left_x, left_y), (right_x, right_y) = self.points
        return math.degrees(math.atan2(right_y - left_y, right_x - left_x))


class EyeFinder:
    """Two cascades, one of which knows glasses; loaded once."""

    def __init__(self) -> None:
        names = "haarcascade_eye.xml", "haarcascade_eye_tree_eyeglasses.xml"
        self._cascades = [cv2.CascadeClassifier(cv2.data.haarcascades + name) for name in names]

    def find(self, grey: Bytes, face: Box) -> Eyes:
        """The eyes in the upper part of a ``face`` of the picture ``grey`` ``(h, w)``."""
        left, top, side, height = face
        first, last = max(0, round(top + 0.12 * height)), round(top + 0.62 * height)
        start, stop = max(0, round(left)), round(left + side)
        part = grey[first:last, start:stop]
        if min(part.shape) < 8:
            return Eyes(0)
        scale = _SIDE / side
        large = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        spots = self._spots(large.astype(np.uint8, copy=False))
        pair = _best_pair(spots)
        if pair is None:
            return Eyes(min(1, len(spots)))
        points = tuple((start + x / scale, first + y / scale) for x, y, _ in pair)
        return Eyes(2, (points[0], points[1]))

    def _spots(self, part: Bytes) -> list[tuple[float, float, float]]:
        """Centre and strength of every place that looks like an eye; near ones are one."""
        found: list[tuple[float, float, float]] = []
        low, high = round(0.14 * _SIDE), round(0.45 * _SIDE)
        for cascade in self._cascades:
            boxes, counts = cascade.detectMultiScale2(
                part, scaleFactor=1.08, minNeighbors=3, minSize=(low, low), maxSize=(high, high)
            )
            for (x, y, width, height), count in zip(boxes, counts, strict=True):
                found.append((x + width / 2, y + height / 2, float(count)))
        return _merged(found)


def _merged(spots: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    groups: list[list[tuple[float, float, float]]] = []
    for spot in sorted(spots, key=lambda one: -one[2]):
        for group in groups:
            if math.hypot(group[0][0] - spot[0], group[0][1] - spot[1]) < 0.12 * _SIDE:
                group.append(spot)
                break
        else:
            groups.append([spot])
    merged: list[tuple[float, float, float]] = []
    for group in groups:
        weight = sum(one[2] for one in group)
        x = sum(one[0] * one[2] for one in group) / weight
        y = sum(one[1] * one[2] for one in group) / weight
        merged.append((x, y, weight))
    return merged


def _best_pair(
    spots: Sequence[tuple[float, float, float]],
) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
    """The strongest two that can be the eyes of one face."""
    pairs = [tuple(sorted(pair)) for pair in combinations(spots, 2)]
    fitting = [(left, right) for left, right in pairs if _are_eyes(left, right)]
    return max(fitting, key=lambda pair: pair[0][2] + pair[1][2], default=None)


def _are_eyes(left: tuple[float, float, float], right: tuple[float, float, float]) -> bool:
    across, down = (right[0] - left[0]) / _SIDE, (right[1] - left[1]) / _SIDE
    middle = (left[0] + right[0]) / 2 / _SIDE
    leaning = abs(math.degrees(math.atan2(down, across)))
    return 0.25 < across < 0.62 and 0.33 < middle < 0.67 and leaning < _MOST_ROLL
