"""Finding the face: several cascades, what they agree on, and the eyes that say it is one.

A cascade (Viola and Jones, CVPR 2001) sees faces in upholstery. Two for faces from the front and
one for profiles, asked for both directions, are put together; eyes are a witness that they did not
have. All of it becomes one confidence by a logistic rule. Its weights were fitted on 80 pictures,
real faces turned, darkened and blurred, and some without any: of 184 candidates it misjudged eight.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import cv2.data
import numpy as np

from usina.apps.avatars.eye import Box, EyeFinder, Eyes
from usina.imaging.array import Bytes

SURE = 0.5
"""The confidence from which a candidate is called a face."""

_CLEAR = 0.9
_LONG_SIDE = 560
_SMALLEST = 24
_SAME = 0.3
_TILTS = (-32.0, 32.0)
_WEIGHTS = {"front": 0.909, "other_front": 1.923, "profile": 2.263}
_EYES_WEIGHT, _BIAS = 2.859, -6.805
_PROMISING = -4.5


@dataclass(frozen=True, slots=True)
class Face:
    """``box`` and ``eyes`` are in pixels of the picture; ``roll`` are the degrees by which the head
    leans to the right; ``confidence`` is 0 to 1."""

    box: Box
    confidence: float
    roll: float = 0.0
    eyes: Eyes = field(default_factory=lambda: Eyes(0))

    @property
    def centre(self) -> tuple[float, float]:
        left, top, width, height = self.box
        return left + width / 2, top + height / 2


@dataclass(frozen=True, slots=True)
class _Hit:
    """One cascade saw a face in ``box``, in ``count`` overlapping windows."""

    cascade: str
    box: Box
    count: int


class FaceFinder:
    """The cascades, loaded once."""

    def __init__(self) -> None:
        self._front = _cascade("haarcascade_frontalface_default.xml")
        self._other_front = _cascade("haarcascade_frontalface_alt2.xml")
        self._profile = _cascade("haarcascade_profileface.xml")
        self._eyes = EyeFinder()

    def find(self, rgb: Bytes) -> list[Face]:
        """Every face of the picture ``(h, w, 3)``, the one that it is of first: surest and
        largest."""
        scale = min(1.0, _LONG_SIDE / max(rgb.shape[:2]))
        grey = _grey(rgb, scale)
        hits = [*self._fronts(grey)]
        faces = self._judged(grey, hits)
        if not any(face.confidence > _CLEAR for face in faces):
            faces = self._judged(grey, [*hits, *self._profiles(grey)])
        if not any(face.confidence > SURE for face in faces):
            faces.extend(face for tilt in _TILTS for face in self._tilted(grey, tilt))
        sure = _distinct([face for face in faces if face.confidence > SURE])
        return [_enlarged(face, 1 / scale) for face in sure]

    def _fronts(self, grey: Bytes) -> Iterator[_Hit]:
        yield from _hits(self._front, "front", grey)
        yield from _hits(self._other_front, "other_front", grey)

    def _profiles(self, grey: Bytes) -> Iterator[_Hit]:
        """Of both directions: the cascade knows one, so the picture is mirrored for the other."""
        yield from _hits(self._profile, "profile", grey)
        for hit in _hits(self._profile, "profile", np.ascontiguousarray(grey[:, ::-1])):
            left, top, width, height = hit.box
            yield replace(hit, box=(grey.shape[1] - left - width, top, width, height))

    def _judged(self, grey: Bytes, hits: Sequence[_Hit]) -> list[Face]:
        return [self._judge(grey, group) for group in _groups(hits)]

    def _judge(self, grey: Bytes, group: Sequence[_Hit]) -> Face:
        """One candidate; eyes are only looked for where they could still decide."""
        most = dict.fromkeys(_WEIGHTS, 0)
        for hit in group:
            most[hit.cascade] = max(most[hit.cascade], hit.count)
        logit = _BIAS + sum(_WEIGHTS[name] * math.log1p(count) for name, count in most.items())
        box = _mean_box(group)
        eyes = self._eyes.find(grey, box) if logit > _PROMISING else Eyes(0)
        logit += _EYES_WEIGHT * eyes.seen / 2
        return Face(box, round(1 / (1 + math.exp(-logit)), 4), eyes.roll, eyes)

    def _tilted(self, grey: Bytes, degrees: float) -> Iterator[Face]:
        """Faces that lean so far that only a turned picture shows them."""
        height, width = grey.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        turned = cv2.warpAffine(grey, turn, (width, height)).astype(np.uint8, copy=False)
        back = cv2.invertAffineTransform(turn)
        for face in self._judged(turned, [*self._fronts(turned)]):
            x, y = back @ np.array([*face.centre, 1.0])
            side = face.box[2]
            box = float(x) - side / 2, float(y) - side / 2, side, face.box[3]
            yield Face(box, face.confidence, degrees + face.roll)


def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + name)


def _grey(rgb: Bytes, scale: float) -> Bytes:
    """Smaller, and with its contrast evened out, so that faces in the dark are seen too."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.createCLAHE(2.0, (8, 8)).apply(small).astype(np.uint8, copy=False)


def _hits(cascade: cv2.CascadeClassifier, name: str, grey: Bytes) -> Iterator[_Hit]:
    boxes, counts = cascade.detectMultiScale2(
        grey, scaleFactor=1.1, minNeighbors=2, minSize=(_SMALLEST, _SMALLEST)
    )
    for (left, top, width, height), count in zip(boxes, counts, strict=True):
        yield _Hit(name, (float(left), float(top), float(width), float(height)), int(count))


def _groups(hits: Sequence[_Hit]) -> list[list[_Hit]]:
    """Hits that mean the same face, the strongest of each first."""
    groups: list[list[_Hit]] = []
    for hit in sorted(hits, key=lambda one: -one.count):
        for group in groups:
            if _overlap(group[0].box, hit.box) > _SAME:
                group.append(hit)
                break
        else:
            groups.append([hit])
    return groups


def _mean_box(group: Sequence[_Hit]) -> Box:
    weight = sum(hit.count for hit in group)
    left, top, width, height = (
        sum(hit.box[side] * hit.count for hit in group) / weight for side in range(4)
    )
    return left, top, width, height


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """Without those that lie in a better one, best first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda one: -one.confidence * math.sqrt(one.box[2])):
        if all(_overlap(face.box, other.box) < 0.1 for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Box, other: Box) -> float:
    """Their common area as a share of the area of both."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (one[2] * one[3] + other[2] * other[3] - common)


def _enlarged(face: Face, factor: float) -> Face:
    left, top, width, height = (value * factor for value in face.box)
    points = face.eyes.points
    if points is not None:
        (a, b), (c, d) = points
        points = (a * factor, b * factor), (c * factor, d * factor)
    return replace(face, box=(left, top, width, height), eyes=Eyes(face.eyes.seen, points))
