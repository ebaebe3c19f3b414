"""Outlines of letters.

The font is Aileron (Sora Sagano, "No Rights Reserved", CC0), which Pillow carries inside itself. It
has no accented letters, so accents are set onto their letters here.
"""

import io
import unicodedata
from functools import cache
from typing import Any, cast

import numpy as np
from fontTools.pens.basePen import BasePen  # pyright: ignore[reportMissingTypeStubs]
from fontTools.ttLib import TTFont  # pyright: ignore[reportMissingTypeStubs]
from manifold3d import CrossSection, FillRule, JoinType, OpType
from PIL import ImageFont

from usina.apps.threed.parametric.solid import bounds_of

CAPITALS = 0.69
"""The height of a capital letter, in ems."""

_UNITS = 1000.0
_BOLDER, _APART = 0.022, 0.034
_ABOVE = 0.06
_MARKS = {"\u0300": "`", "\u0301": "´", "\u0302": "^", "\u0303": "~", "\u0308": ":", "\u0327": ","}
"""Combining marks, and the glyph that each is drawn with."""

_Contour = list[tuple[float, float]]


def can_write(letter: str) -> bool:
    """Whether the font has the letter, or its parts."""
    base, *marks = unicodedata.normalize("NFD", letter)
    return ord(base) in _characters() and all(mark in _MARKS for mark in marks)


def write(text: str) -> tuple[CrossSection, float]:
    """The letters in ems, standing on y = 0 from x = 0, a little bolder than the font has them;
    and how wide they are."""
    shapes: list[CrossSection] = []
    at = 0.0
    for letter in text:
        shape, advance = _letter(letter)
        shapes.append(shape.translate((at, 0)))
        at += advance + _APART
    drawn = CrossSection.batch_boolean(shapes, OpType.Add)
    return drawn.offset(_BOLDER, JoinType.Round, 2.0, 24), at - _APART


def _letter(letter: str) -> tuple[CrossSection, float]:
    base, *marks = unicodedata.normalize("NFD", letter)
    contours, advance = _glyph(base)
    if marks and base in "ij":
        contours = contours[:1] if _low(contours[0]) < _low(contours[-1]) else contours[-1:]
    shape = _filled(contours)
    for mark in marks:
        shape += _placed(mark, shape)
    return shape, advance


def _placed(mark: str, shape: CrossSection) -> CrossSection:
    """A mark above, or a cedilla below, the middle of a letter."""
    left, low, right, high = bounds_of(shape)
    drawn = _filled(_glyph(_MARKS[mark])[0])
    if mark == "\u0308":
        drawn = drawn.rotate(90)
    if mark in "\u0302\u0303":
        drawn = drawn.scale((0.72, 0.5 if mark == "\u0302" else 0.8))
    x0, y0, x1, y1 = bounds_of(drawn)
    below = mark == "\u0327"
    lift = low + 0.02 - y1 if below else high + _ABOVE - y0
    return drawn.translate(((left + right) / 2 - (x0 + x1) / 2, lift))


def _low(contour: _Contour) -> float:
    return min(y for _, y in contour)


def _filled(contours: list[_Contour]) -> CrossSection:
    return CrossSection([np.array(contour) for contour in contours], FillRule.NonZero)


class _Flat(BasePen):
    """Collects the contours of a glyph in ems, its curves as short lines."""

    def __init__(self, glyphs: Any) -> None:
        cast("Any", super()).__init__(glyphs)
        self.contours: list[_Contour] = []

    def _moveTo(self, pt: Any) -> None:  # noqa: N802
        self.contours.append([self._ems(pt)])

    def _lineTo(self, pt: Any) -> None:  # noqa: N802
        self.contours[-1].append(self._ems(pt))

    def _curveToOne(self, pt1: Any, pt2: Any, pt3: Any) -> None:  # noqa: N802
        begin = self.contours[-1][-1]
        points = np.array([begin, self._ems(pt1), self._ems(pt2), self._ems(pt3)])
        for share in np.linspace(0, 1, 9)[1:]:
            rest = 1 - share
            weights = [rest**3, 3 * rest**2 * share, 3 * rest * share**2, share**3]
            x, y = np.array(weights) @ points
            self.contours[-1].append((float(x), float(y)))

    @staticmethod
    def _ems(point: Any) -> tuple[float, float]:
        return point[0] / _UNITS, point[1] / _UNITS


@cache
def _glyph(letter: str) -> tuple[list[_Contour], float]:
    """The contours, and how far the next letter stands from this one."""
    glyphs = _font().getGlyphSet()
    glyph = glyphs[_characters()[ord(letter)]]
    pen = _Flat(glyphs)
    glyph.draw(pen)
    return pen.contours, glyph.width / _UNITS


@cache
def _characters() -> dict[int, str]:
    return dict(_font().getBestCmap())


@cache
def _font() -> Any:
    carried = cast("ImageFont.FreeTypeFont", ImageFont.load_default(40)).path
    return TTFont(io.BytesIO(cast("io.BytesIO", carried).getvalue()))
