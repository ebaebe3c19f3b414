"""Which part of a picture is the object, and how sure that is."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from usina.apps.threed.confidence import confidence, frame_share
from usina.apps.threed.cut import by_cut
from usina.apps.threed.keying import by_alpha, by_border
from usina.imaging.array import Bits, Bytes, Field
from usina.imaging.notice import Notice
from usina.imaging.opencv import (
    blur,
    components,
    guided_filter,
    resize,
    resize_bytes,
    threshold,
    to_lab,
)
from usina.imaging.picture import Picture
from usina_runner import InvalidInput

WORK_SIDE = 768
"""The long side of the working picture that masks are found in; smaller ones are enlarged."""

DOUBTFUL = 0.5
_MAIN_SHARE = 0.2
_HOLE_SHARE = 0.004
_SEE_THROUGH = 0.001

_EXACT = ("mask", "alpha", "border")
_TRUST = {"alpha": 1.0, "border": 1.0, "rectangle": 0.95, "cut": 0.9}

Method: TypeAlias = Literal["mask", "alpha", "border", "rectangle", "cut", "whole"]
Rectangle: TypeAlias = tuple[int, int, int, int]
"""Left, top, width and height in pixels of the upright picture."""


@dataclass(frozen=True, slots=True)
class Mask:
    """``inside`` is ``(h, w)`` with a long side of `WORK_SIDE`, 1 on the object and 0 off it; its
    contour is where it crosses 0.5, between pixels. ``fraction`` is the object's share of the
    picture, ``confidence`` 0 to 1."""

    inside: Field
    method: Method
    fraction: float
    confidence: float
    notices: tuple[Notice, ...]

    def full_size(self, width: int, height: int) -> Bytes:
        """The mask as a picture of its own: 255 on the object, 0 off it."""
        levels = np.rint(np.clip(self.inside, 0, 1) * 255).astype(np.uint8)
        return threshold(resize_bytes(levels, width, height), 127)


def whole(picture: Picture) -> Mask:
    """The whole picture as the object."""
    width, height = work_size(picture)
    return Mask(np.ones((height, width)), "whole", 1.0, 1.0, ())


def find_mask(
    picture: Picture, *, drawn: Picture | None = None, rectangle: Rectangle | None = None
) -> Mask:
    """The caller's own mask where there is one; else the picture's opacity, a plain backdrop or a
    graph cut, in this order, inside the ``rectangle`` where there is one.

    Raises `InvalidInput` ``mask_size``, ``rectangle_outside`` or ``mask_empty``.
    """
    width, height = work_size(picture)
    rgb = resize_bytes(picture.rgb, width, height)
    lab = to_lab(rgb)
    box = None if rectangle is None else _box(picture, rectangle, width, height)
    found, method, agreement, notices = _find(picture, rgb, lab, drawn, box)
    if box is not None:
        found = np.where(box, found, 0.0)
    unity = _unity(found > 0.5)
    inside = _clean(found, exact=method in _EXACT)
    bits = inside > 0.5
    if bits.mean() < 1e-4 or not bits.any():
        raise InvalidInput(
            "mask_empty",
            "No object was found in the picture. Send a `mask` picture that is white on the "
            "object, or a `rectangle` around it.",
        )
    sure = 1.0
    if method != "mask":
        sure = confidence(bits, lab, agreement=agreement, unity=unity) * _TRUST[method]
    notices += _doubts(bits, method, sure)
    return Mask(inside, method, float(bits.mean()), round(sure, 3), notices)


def work_size(picture: Picture) -> tuple[int, int]:
    """Width and height of the working picture."""
    scale = WORK_SIDE / max(picture.full_width, picture.full_height)
    width, height = (
        max(1, round(side * scale)) for side in (picture.full_width, picture.full_height)
    )
    return width, height


def _find(
    picture: Picture, rgb: Bytes, lab: Field, drawn: Picture | None, box: Bits | None
) -> tuple[Field, Method, float, tuple[Notice, ...]]:
    height, width = rgb.shape[:2]
    if drawn is not None:
        return _drawn(drawn, picture, width, height), "mask", 1.0, ()
    notices: tuple[Notice, ...] = ()
    if picture.alpha is not None:
        opacity = by_alpha(resize_bytes(picture.alpha, width, height))
        if opacity is not None:
            return opacity, "alpha", 1.0, ()
        if (picture.alpha < 255).mean() > _SEE_THROUGH:
            notices = (
                Notice(
                    "alpha_ignored",
                    "The picture's transparency is no mask of an object; the object was looked "
                    "for by colour.",
                ),
            )
    plain = by_border(lab) if box is None else None
    if plain is not None:
        return plain[0], "border", plain[1], notices
    cut = by_cut(rgb, lab, box)
    if cut is None:
        return np.zeros((height, width)), "cut", 0.0, notices
    if cut.stood:
        notices += (
            Notice(
                "mask_stand_left_out",
                "What the object seems to stand on was left out; if it belongs to it, send a "
                "`rectangle` around both.",
            ),
        )
    return _to_edges(rgb, cut.bits), "cut" if box is None else "rectangle", cut.agreement, notices


def _drawn(drawn: Picture, picture: Picture, width: int, height: int) -> Field:
    """The caller's mask: its opacity if that is a mask, else its lightness."""
    ratio = drawn.full_width * picture.full_height / (drawn.full_height * picture.full_width)
    if not 0.98 < ratio < 1.02:
        raise InvalidInput(
            "mask_size",
            f"The mask has {drawn.full_width} x {drawn.full_height} pixels and the picture "
            f"{picture.full_width} x {picture.full_height}; their shapes must be the same.",
        )
    grey = drawn.rgb.mean(axis=2)
    if drawn.alpha is not None:
        opacity = by_alpha(drawn.alpha)
        grey = grey * drawn.alpha / 255 if opacity is None else opacity * 255
    return resize(grey / 255, width, height)


def _box(picture: Picture, rectangle: Rectangle, width: int, height: int) -> Bits:
    left, top, wide, high = rectangle
    right, bottom = min(left + wide, picture.full_width), min(top + high, picture.full_height)
    if wide < 1 or high < 1 or right <= left or bottom <= top or left < 0 or top < 0:
        raise InvalidInput(
            "rectangle_outside",
            f"The rectangle {list(rectangle)} is not inside the picture of "
            f"{picture.full_width} x {picture.full_height} pixels.",
        )
    scale = width / picture.full_width
    box = np.zeros((height, width), dtype=np.bool_)
    box[
        int(top * scale) : max(int(top * scale) + 1, round(bottom * scale)),
        int(left * scale) : max(int(left * scale) + 1, round(right * scale)),
    ] = True
    return box


def _to_edges(rgb: Bytes, bits: Bits) -> Field:
    """Let a hard mask find the picture's own edges within a few pixels."""
    soft = guided_filter(rgb, blur(bits.astype(np.float64), 1.5), 6, 1e-4)
    return np.clip((soft - 0.5) * 1.4 + 0.5, 0, 1)


def _unity(bits: Bits) -> float:
    """The largest piece's share of all that was found."""
    area = components(bits)[1][1:]
    return float(area.max() / area.sum()) if len(area) else 0.0


def _clean(found: Field, *, exact: bool) -> Field:
    """Without specks and pinholes, and with a smooth contour; where the contour is not ``exact``,
    without smaller pieces and holes too."""
    smooth = np.clip(blur(found, 0.7 if exact else 1.5), 0, 1)
    labels, area = components(smooth > 0.5)
    area[0] = 0
    keep = area >= max(8.0, _MAIN_SHARE * area.max())
    keep[0] = False
    smooth = np.where(_near(keep[labels]), smooth, 0.0)
    labels, area = components(smooth <= 0.5)
    small = area < (8 if exact else _HOLE_SHARE * (smooth > 0.5).sum())
    small[0] = False
    return np.where(small[labels] & (smooth < 0.75), 0.75, smooth)


def _near(inside: Bits) -> Bits:
    """The object with the half-covered pixels around it."""
    return blur(inside.astype(np.float64), 1.5) > 0.02


def _doubts(bits: Bits, method: Method, sure: float) -> tuple[Notice, ...]:
    doubts: list[Notice] = []
    if sure < DOUBTFUL:
        doubts.append(
            Notice(
                "mask_doubtful",
                f"The object was found with a confidence of only {sure:.2f}. Look at mask.png; "
                "send a corrected `mask`, or a `rectangle` around the object.",
            )
        )
    if method != "mask" and frame_share(bits) > 0.01:
        doubts.append(
            Notice("mask_touches_frame", "The object runs out of the picture and is cut there.")
        )
    pieces = len(components(bits)[1]) - 1
    if pieces > 1:
        doubts.append(Notice("mask_pieces", f"The object falls into {pieces} separate pieces."))
    return tuple(doubts)
