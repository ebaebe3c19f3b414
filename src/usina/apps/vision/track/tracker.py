"""The same thing from frame to frame, by where it should be by now.

Boxes are matched to tracks by the assignment of the least total cost, where a pair costs one less
the overlap of both boxes made larger (Yang and others, "Hard to Track Objects
with Irregular Motions and Similar Appearances", WACV 2023): small and fast things overlap then too.
What is found too faintly to be told may still go on a track that was seen in the frame before, but
never begins one (Zhang and others, "ByteTrack", ECCV 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs]
    linear_sum_assignment,  # pyright: ignore[reportUnknownVariableType]
)

from usina.apps.vision.detection import Detection
from usina.apps.vision.track.motion import Motion
from usina.imaging.array import Anything, Bits, Field, Indices

_assign = cast("Any", linear_sum_assignment)

_GROWN = 0.3
_LEAST = 0.1
"""Of the overlap of two grown boxes, for them to be one thing."""

_NEVER = 10.0


@dataclass
class Track:
    """A thing that is followed; its class is that of its first detection."""

    number: int
    class_name: str
    seen_at: float
    sightings: int = 1


class Tracker:
    """Follows detections that come in order of time. One that is not seen for ``patience`` seconds
    is forgotten; what is found later is a new one."""

    def __init__(self, patience: float) -> None:
        self.tracks: list[Track] = []
        self._patience = patience
        self._motion = Motion.started(np.zeros((0, 4)))
        self._seconds = 0.0
        self._next = 1

    def follow(
        self, detections: Sequence[Detection], seconds: float, least: float
    ) -> list[Detection]:
        """Those with a confidence of ``least`` or more, each with its track; ``seconds`` is the
        frame's time."""
        self._age(seconds)
        previous, self._seconds = self._seconds, seconds
        sure = [each for each in detections if each.confidence >= least]
        faint = [each for each in detections if each.confidence < least]
        free = list(range(len(self.tracks)))
        pairs = self._matched(sure, free)
        told = self._seen(sure, pairs)
        taken = {row for row, _ in pairs}
        recent = [row for row in free if row not in taken]
        recent = [row for row in recent if self.tracks[row].seen_at >= previous]
        self._seen(faint, self._matched(faint, recent))
        found = {column for _, column in pairs}
        fresh = [each for index, each in enumerate(sure) if index not in found]
        numbers = iter(self._begun(fresh))
        return [
            replace(each, track_id=told[index] if index in told else next(numbers))
            for index, each in enumerate(sure)
        ]

    def _age(self, seconds: float) -> None:
        self._motion = self._motion.after(max(0.0, seconds - self._seconds))
        kept = [seconds - track.seen_at <= self._patience for track in self.tracks]
        if not all(kept):
            self._motion = self._motion.only(np.array(kept, np.bool_))
            self.tracks = [track for track, stays in zip(self.tracks, kept, strict=True) if stays]

    def _matched(
        self, detections: Sequence[Detection], rows: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Pairs of a track's row and a detection's place."""
        if not detections or not rows:
            return []
        overlap = _overlap(self._motion.place[list(rows)], _middles(detections))
        theirs: Anything = np.array([self.tracks[row].class_name for row in rows])
        ours: Anything = np.array([each.class_name for each in detections])
        fits: Bits = (overlap >= _LEAST) & (theirs[:, None] == ours[None, :])
        picked_rows, picked = _assign(np.where(fits, 1 - overlap, _NEVER))
        return [
            (rows[int(row)], int(column))
            for row, column in zip(picked_rows, picked, strict=True)
            if fits[row, column]
        ]

    def _seen(
        self, detections: Sequence[Detection], pairs: Sequence[tuple[int, int]]
    ) -> dict[int, int]:
        """The track's number by the detection's place."""
        if not pairs:
            return {}
        rows: Indices = np.array([row for row, _ in pairs], np.int64)
        boxes = _middles([detections[column] for _, column in pairs])
        self._motion = self._motion.corrected(rows, boxes)
        for row, _ in pairs:
            self.tracks[row].seen_at = self._seconds
            self.tracks[row].sightings += 1
        return {column: self.tracks[row].number for row, column in pairs}

    def _begun(self, detections: Sequence[Detection]) -> list[int]:
        if not detections:
            return []
        first = self._next
        self._next += len(detections)
        self.tracks += [
            Track(first + index, each.class_name, self._seconds)
            for index, each in enumerate(detections)
        ]
        self._motion = self._motion.with_more(Motion.started(_middles(detections)))
        return list(range(first, self._next))


def _middles(detections: Sequence[Detection]) -> Field:
    """Their boxes by the middle, ``(n, 4)``."""
    boxes = np.array([each.box for each in detections], np.float64).reshape(-1, 4)
    boxes[:, :2] += boxes[:, 2:] / 2
    return boxes


def _overlap(some: Field, others: Field) -> Field:
    """Intersection over union of boxes by their middles, each grown on every side, ``(n, m)``."""
    one, two = _corners(some)[:, None], _corners(others)[None, :]
    shared = np.minimum(one[..., 2:], two[..., 2:]) - np.maximum(one[..., :2], two[..., :2])
    both = np.prod(np.maximum(shared, 0), axis=2)
    return both / (_area(one) + _area(two) - both)


def _corners(boxes: Field) -> Field:
    half = boxes[:, 2:] * (0.5 + _GROWN)
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _area(corners: Field) -> Field:
    return np.prod(corners[..., 2:] - corners[..., :2], axis=-1)
