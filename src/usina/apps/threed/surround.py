"""What the surroundings of a cut tell: parts that it missed, and what the object stands on."""

import numpy as np

from usina.apps.threed.ground import fit_ground
from usina.imaging.array import Bits, Field
from usina.imaging.opencv import blur, colour_gap, components, dilate, distance, erode, opened

_REACH = 0.055
"""How far around the object is looked, as a share of the picture's long side."""

_LINE, _FRINGE = 3, 4
_LEAST_KEPT = 0.6
_ALIKE, _UNLIKE = 18.0, 20.0
_LEAST_STANDING = 0.5
_LEANING = 0.45


def complete(found: Bits, lab: Field) -> Bits:
    """In front of a smooth ground (a sky, a wall): with the parts beside it that differ from the
    ground too and end nearby, and without what is ground. As it is where the ground is not
    smooth, or where that would take much away."""
    reach = dilate(found, _reach(found))
    ground = fit_ground(blur(lab, 1.0), reach & ~dilate(found, _FRINGE))
    if ground is None:
        return found
    gap = colour_gap(blur(lab, 0.7), ground.colour)
    differs = gap > ground.tolerance
    beside = opened(differs & reach & ~erode(found, _FRINGE), _LINE)
    labels, _ = components(beside)
    leaving = np.unique(labels[(reach & ~erode(reach, 2)) | (_frame(found) & ~found)])
    beside &= ~np.isin(labels, leaving[leaving > 0])
    better = opened((found & differs) | beside, _LINE)
    return better if (better & found).sum() > _LEAST_KEPT * found.sum() else found


def without_stand(found: Bits, lab: Field) -> Bits | None:
    """The object without what it stands on: a part of another colour that runs out of the picture
    below, and is wider than the larger part that stands on it. None where there is no such part."""
    below = np.zeros_like(found)
    below[-2:] = found[-2:]
    frame = _frame(found)
    if not below.any() or (frame & found & ~_lower(found)).any():
        return None
    smooth = blur(lab, 1.5)
    colour = np.median(smooth[below], axis=0)
    alike = found & (colour_gap(smooth, colour) < _ALIKE)
    labels, _ = components(alike)
    touching = np.unique(labels[below])
    stand = np.isin(labels, touching[touching > 0])
    standing = _largest(opened(found & ~dilate(stand, 2), _LINE))
    standing = _freed(standing, stand)
    unlike = (
        np.sqrt(((np.median(smooth[standing], axis=0) - colour) ** 2).sum())
        if standing.any()
        else 0
    )
    if standing.sum() < _LEAST_STANDING * found.sum() or unlike < _UNLIKE:
        return None
    if (standing & _frame(found)).any() or _width(stand) < _width(standing):
        return None
    return standing


def _freed(standing: Bits, stand: Bits) -> Bits:
    """Near the stand without the thin things that lean on both."""
    thick = float(distance(standing).max()) if standing.any() else 0.0
    near = dilate(stand, _reach(stand))
    core = opened(standing, max(_LINE, round(_LEANING * thick)))
    return _largest(standing & (~near | core))


def _reach(bits: Bits) -> int:
    return round(_REACH * max(bits.shape))


def _frame(bits: Bits) -> Bits:
    frame = np.ones_like(bits)
    frame[2:-2, 2:-2] = False
    return frame


def _lower(bits: Bits) -> Bits:
    """The lower quarter of the picture."""
    lower = np.zeros_like(bits)
    lower[3 * len(bits) // 4 :] = True
    return lower


def _largest(bits: Bits) -> Bits:
    labels, area = components(bits)
    area[0] = 0
    return (labels == area.argmax()) & bits


def _width(bits: Bits) -> int:
    return int(np.ptp(np.flatnonzero(bits.any(axis=0)))) if bits.any() else 0
