"""A plate with raised letters."""

from typing import Annotated

from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main, trim
from usina.apps.threed.parametric.lettering import CAPITALS, write
from usina.apps.threed.parametric.measure import Length, Words, within
from usina.apps.threed.parametric.shape import (
    outline,
    raised,
)
from usina.apps.threed.parametric.solid import section
from usina.imaging.array import Field

LONGEST = 24


def text_sign(
    text: Annotated[str, Words(LONGEST)] = "USINA",
    height: Annotated[float, Length(0.01, 1.0)] = 0.06,
    thickness: Annotated[float, Length(0.001, 0.1)] = 0.006,
) -> Body:
    """Upright on its edge; ``height`` and ``thickness`` of the plate, whose width follows from
    the text."""
    within("thickness", thickness, 0.03 * height, 0.5 * height)
    letters, wide = write(text)
    scale = 0.5 * height / CAPITALS
    width = max(wide * scale + 0.6 * height, 1.2 * height)
    proud = min(0.5 * thickness, 0.06 * height)
    plate = raised(_plaque(width, height, 0.0), thickness, 0.16 * thickness)
    rim = section(_plaque(width, height, 0.06 * height)) - section(
        _plaque(width, height, 0.10 * height)
    )
    at = (-wide * scale / 2, (height - CAPITALS * scale) / 2)
    ink = letters.scale((scale, scale)).translate(at) + rim
    relief = Manifold.extrude(ink, thickness / 2 + proud).translate((0, 0, thickness / 2))
    return (
        main(plate.rotate((90, 0, 0)), "plastic", "navy"),
        trim(relief.rotate((90, 0, 0)), "plastic", "white"),
    )


def _plaque(width: float, height: float, inset: float) -> Field:
    x, low, high = width / 2 - inset, inset, height - inset
    soft = 0.2 * height - inset
    return outline((-x, low, soft), (x, low, soft), (x, high, soft), (-x, high, soft))
