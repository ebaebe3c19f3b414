"""What a network answers, in one form; and of boxes over each other the surest."""

from dataclasses import dataclass

import cv2
import numpy as np

from usina.imaging.array import Bits, Field32, Indices

MOST = 300
"""Boxes of a frame that are kept."""

_CONSIDERED = 3000


@dataclass(frozen=True, slots=True)
class Candidates:
    """``corners`` ``(n, 4)`` are left, top, right, bottom on the canvas; ``scores`` and ``classes``
    are ``(n,)``; ``broken`` counts those whose numbers are none."""

    corners: Field32
    scores: Field32
    classes: Indices
    broken: int = 0

    def only(self, which: Bits | Indices) -> "Candidates":
        return Candidates(self.corners[which], self.scores[which], self.classes[which], self.broken)

    def surest(self, most: int = MOST) -> "Candidates":
        """By falling score, at most so many."""
        order: Indices = np.argsort(-self.scores, kind="stable")[:most]
        return self.only(order)


def finite(candidates: Candidates) -> Candidates:
    """Without those whose numbers are none."""
    sound: Bits = np.isfinite(candidates.corners).all(axis=1) & np.isfinite(candidates.scores)
    kept = candidates.only(sound)
    return Candidates(kept.corners, kept.scores, kept.classes, int(len(sound) - sound.sum()))


def suppressed(candidates: Candidates, overlap: float) -> Candidates:
    """Of boxes of one class that overlap by more than ``overlap`` (intersection over union), the
    surest; by falling score."""
    held = candidates.surest(_CONSIDERED)
    if not len(held.scores):
        return held
    sizes = held.corners[:, 2:] - held.corners[:, :2]
    boxes = np.concatenate([held.corners[:, :2], sizes], axis=1).astype(np.float64)
    kept = cv2.dnn.NMSBoxesBatched(
        boxes.tolist(), held.scores.tolist(), held.classes.tolist(), 0.0, overlap
    )
    return held.only(np.asarray(kept, np.int64).reshape(-1)).surest()
