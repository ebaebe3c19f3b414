"""The answers of each family of networks, read into one form.

Every reader takes the outputs by name, the canvas that was shown, and the least score, and leaves
out what is below it. A score that is no number is never below it: it is counted, not lost.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from usina.apps.vision.network.candidate import Candidates
from usina.apps.vision.network.fit import Canvas
from usina.imaging.array import Bits, Field32, Indices

Outputs: TypeAlias = Mapping[str, Field32]

_LARGEST_EXPONENT = 20.0


def read_yolo(rows: Field32, classes: int, least: float) -> Candidates:
    """YOLOv8 and later: ``rows`` ``(4 + classes + more, n)`` of centre x, y, width, height on the
    canvas, and the score of each class; what follows (masks, key points) is not looked at."""
    scores = rows[4 : 4 + classes]
    return _best(rows[:4].T, scores, scores.max(axis=0), least)


def read_anchored(rows: Field32, least: float) -> Candidates:
    """YOLOv5 and v7, and YOLOX once its boxes are placed: ``rows`` ``(n, 5 + classes)`` of centre
    x, y, width, height on the canvas, that it is a thing at all, and that it is of each class."""
    likely = rows[~(rows[:, 4] < least)]
    scores = likely[:, 5:] * likely[:, 4:5]
    return _best(likely[:, :4], scores.T, scores.max(axis=1, initial=0.0), least)


def placed(rows: Field32, canvas: Canvas, strides: Sequence[int]) -> Field32:
    """YOLOX's ``rows``, whose boxes count in cells of a grid for each stride (and the logarithm of
    their size), as those of `read_anchored`."""
    corners: list[Field32] = []
    sizes: list[Field32] = []
    for stride in strides:
        across, down = -(-canvas.width // stride), -(-canvas.height // stride)
        y, x = np.mgrid[:down, :across].astype(np.float32)
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        sizes.append(np.full((across * down, 1), stride, np.float32))
    stride_of = np.concatenate(sizes)
    out = rows.copy()
    out[:, :2] = (rows[:, :2] + np.concatenate(corners)) * stride_of
    out[:, 2:4] = np.exp(np.minimum(rows[:, 2:4], _LARGEST_EXPONENT)) * stride_of
    return out


def read_ended(rows: Field32, least: float) -> Candidates:
    """Networks that suppress by themselves: ``rows`` ``(n, 6)`` of left, top, right, bottom on the
    canvas, score, class."""
    held = rows[~(rows[:, 4] < least)]
    return Candidates(held[:, :4], held[:, 4], _whole(held[:, 5]))


def read_shares(boxes: Field32, scores: Field32, canvas: Canvas, least: float) -> Candidates:
    """Transformers: ``boxes`` ``(n, 4)`` of centre x, y, width, height as shares of the canvas, and
    ``scores`` ``(n, classes)``."""
    scale = np.array([canvas.width, canvas.height] * 2, np.float32)
    return _best(boxes * scale, scores.T, scores.max(axis=1, initial=0.0), least)


def read_sized(labels: Field32, boxes: Field32, scores: Field32, least: float) -> Candidates:
    """Transformers that are told the size: ``boxes`` ``(n, 4)`` of left, top, right, bottom, with
    ``labels`` and ``scores`` ``(n,)``."""
    held = ~(scores < least)
    return Candidates(boxes[held], scores[held], _whole(labels[held]))


def likelihood(logits: Field32) -> Field32:
    """The logistic function."""
    return (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).astype(np.float32)


def _best(middles: Field32, scores: Field32, best: Field32, least: float) -> Candidates:
    """Boxes ``(n, 4)`` by their middles with the best class of each, by ``scores`` ``(classes, n)``
    of which ``best`` is the largest."""
    held: Bits = ~(best < least)
    box = middles[held]
    half: Field32 = box[:, 2:] * np.float32(0.5)
    corners: Field32 = np.concatenate([box[:, :2] - half, box[:, :2] + half], axis=1)
    which: Indices = scores[:, held].argmax(axis=0).astype(np.int64)
    return Candidates(corners, best[held], which)


def _whole(numbers: Field32) -> Indices:
    return np.nan_to_num(numbers, nan=-1, posinf=-1, neginf=-1).round().astype(np.int64)
