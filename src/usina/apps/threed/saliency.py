"""Where the object of a picture probably is, when nobody says.

Robust background detection: what hangs together with the picture's border is background, what
differs from it is object. Zhu, Liang, Wei and Sun, "Saliency optimization from robust background
detection", CVPR 2014; the numbers of equations below are theirs.
"""

import numpy as np

from usina.apps.threed.numeric import shortest_paths
from usina.imaging.array import Field, Indices
from usina.imaging.opencv import superpixels

_REGIONS = 400
_COLOUR_SIGMA = 10.0
_PLACE_SIGMA = 0.25
_SMALL_WEIGHT = 0.1


def saliency(lab: Field) -> Field:
    """``(h, w)`` of 0 (background) to 1 (object) for a Lab picture of a few hundred pixels."""
    height, width = lab.shape[:2]
    labels = superpixels(lab, max(4, round((height * width / _REGIONS) ** 0.5)))
    count = int(labels.max()) + 1
    colour, place = _means(labels, lab, count)
    border = _border_labels(labels, count)
    edges = _edges(labels, border)
    colour_gap = _gaps(colour)
    background = _background(colour_gap, edges, border)
    nearness = np.exp(-(_gaps(place) ** 2) / (2 * _PLACE_SIGMA**2))
    contrast = (colour_gap * nearness * background[None, :]).sum(axis=1)
    contrast /= max(float(contrast.max()), 1e-9)
    values = _optimise(contrast, background, colour_gap, edges)
    return values[labels]


def _means(labels: Indices, lab: Field, count: int) -> tuple[Field, Field]:
    height, width = labels.shape
    flat = labels.ravel()
    size = np.maximum(np.bincount(flat, minlength=count), 1)
    colour = np.stack(
        [np.bincount(flat, lab[..., c].ravel(), minlength=count) / size for c in range(3)], axis=1
    )
    rows, columns = np.mgrid[0:height, 0:width]
    longest = max(height, width)
    place = np.stack(
        [np.bincount(flat, axis.ravel(), minlength=count) / size for axis in (rows, columns)],
        axis=1,
    )
    return colour, place / longest


def _border_labels(labels: Indices, count: int) -> Indices:
    frame = (labels[:2], labels[-2:], labels[:, :2], labels[:, -2:])
    touching = np.zeros(count, dtype=np.bool_)
    touching[np.concatenate([side.ravel() for side in frame])] = True
    return np.flatnonzero(touching)


def _edges(labels: Indices, border: Indices) -> Indices:
    """``(n, 2)`` pairs of regions that touch, once each; all regions on the border touch."""
    across = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1)
    down = np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1)
    first, second = np.triu_indices(len(border), 1)
    around = np.stack([border[first], border[second]], axis=1)
    pairs = np.sort(np.concatenate([across, down, around]), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _gaps(points: Field) -> Field:
    return np.sqrt(((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2))


def _background(colour_gap: Field, edges: Indices, border: Indices) -> Field:
    """How surely each region is background: its boundary connectivity (equations 3 to 7)."""
    count = len(colour_gap)
    first, second = edges.T
    steps = colour_gap[first, second]
    small = _smallest_gap(colour_gap, edges)
    weights = np.maximum(steps - small, 1e-6)
    path = shortest_paths(edges, weights, count)
    same = np.exp(-(path**2) / (2 * _COLOUR_SIGMA**2))
    area = same.sum(axis=1)
    on_border = same[:, border].sum(axis=1)
    connectivity = on_border / np.sqrt(area)
    return 1 - np.exp(-(connectivity**2) / 2)


def _smallest_gap(colour_gap: Field, edges: Indices) -> float:
    """The typical gap between a region and the neighbour most like it; below it is only noise."""
    smallest = np.full(len(colour_gap), np.inf)
    first, second = edges.T
    np.minimum.at(smallest, first, colour_gap[first, second])
    np.minimum.at(smallest, second, colour_gap[first, second])
    return float(smallest[np.isfinite(smallest)].mean())


def _optimise(contrast: Field, background: Field, colour_gap: Field, edges: Indices) -> Field:
    """The least-squares balance of both cues and of smoothness (equation 9)."""
    count = len(contrast)
    first, second = edges.T
    weight = np.exp(-(colour_gap[first, second] ** 2) / (2 * _COLOUR_SIGMA**2)) + _SMALL_WEIGHT
    system = np.zeros((count, count))
    np.add.at(system, (first, second), -weight)
    np.add.at(system, (second, first), -weight)
    system[np.diag_indices(count)] = -system.sum(axis=1) + background + contrast
    values = np.linalg.solve(system, contrast)
    return np.clip((values - values.min()) / max(float(np.ptp(values)), 1e-9), 0, 1)
