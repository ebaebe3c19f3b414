"""What holds other things: a box, a stand."""

from math import radians, tan
from typing import Annotated

from manifold3d import CrossSection, Manifold, OpType

from usina.apps.threed.parametric.body import Body, main, trim
from usina.apps.threed.parametric.measure import Length, Option, within
from usina.apps.threed.parametric.shape import (
    box,
    outline,
    raised,
    turn,
)

CLEARANCE = 0.0002
"""Between a lid and its box, so that printed ones come apart: 0.2 mm."""


def box_with_lid(
    width: Annotated[float, Length(0.01, 1.0)] = 0.09,
    depth: Annotated[float, Length(0.01, 1.0)] = 0.06,
    height: Annotated[float, Length(0.01, 1.0)] = 0.045,
    wall: Annotated[float, Length(0.0008, 0.03)] = 0.003,
    lid: Option = False,
) -> Body:
    """``height`` of the closed box without the lid's knob; the lid lies on it as a body of its
    own."""
    least = min(width, depth, height)
    within("wall", wall, 0.0008, 0.12 * least)
    soft = min(0.16 * min(width, depth), 4 * wall)
    top = height - (1.6 * wall + CLEARANCE if lid else 0)
    base = _plate(width, depth, top, soft, 0.35 * wall)
    cavity = _plate(width - 2 * wall, depth - 2 * wall, height, soft - wall, 0.35 * wall)
    open_box = base - cavity.translate((0, 0, 1.2 * wall))
    if not lid:
        return (main(open_box, "wood"),)
    cover = _plate(width, depth, 1.6 * wall, soft, 0.6 * wall).translate((0, 0, top + CLEARANCE))
    gap = 2 * (wall + CLEARANCE)
    plug = _plate(width - gap, depth - gap, 1.8 * wall, soft - wall, 0.3 * wall)
    plug -= _plate(
        width - gap - 2 * wall, depth - gap - 2 * wall, 5 * wall, 0.5 * soft, 0
    ).translate((0, 0, -wall))
    cover += plug.translate((0, 0, top + CLEARANCE - 1.5 * wall))
    radius = 0.1 * min(width, depth)
    grip = turn(
        (0, -0.2 * wall), (0.45 * radius, -0.2 * wall), (0.4 * radius, 0.6 * radius, 0.6 * radius),
        (radius, 0.9 * radius, 0.35 * radius), (0.95 * radius, 1.5 * radius, 0.6 * radius),
        (0, 1.6 * radius), segments=64,
    )  # fmt: skip
    return main(open_box + cover, "wood"), trim(grip.translate((0, 0, height)), "brass")


def _plate(width: float, depth: float, height: float, soft: float, edge: float) -> Manifold:
    soft = max(soft, 0.02 * min(width, depth))
    x, y = width / 2, depth / 2
    line = outline((-x, -y, soft), (x, -y, soft), (x, y, soft), (-x, y, soft))
    return raised(line, height, edge)


def phone_stand(
    width: Annotated[float, Length(0.03, 0.4)] = 0.075,
    height: Annotated[float, Length(0.03, 0.4)] = 0.1,
    depth: Annotated[float, Length(0.03, 0.4)] = 0.085,
    thickness: Annotated[float, Length(0.002, 0.02)] = 0.006,
) -> Body:
    """A band bent to hold a phone at 65°, with a gap for its cable."""
    within("thickness", thickness, 0.002, min(0.12 * height, 0.12 * depth))
    within("depth", depth, 0.7 * height, 1.6 * height)
    thick, seat, lip = thickness / 2, 0.2 * height, 0.16 * height
    front, rear = -depth / 2 + thick, depth / 2 - thick
    heel = front + 0.2 * depth
    top = heel + (height - seat) / tan(radians(65))
    line = [
        (front, seat + lip),
        (front, seat),
        (heel, seat - 0.25 * thick),
        (min(top, rear - 0.1 * depth), height - thick),
        (rear, thick),
        (front, thick),
    ]
    profile = _stroke(line, thick).offset(0.9 * thick).offset(-0.9 * thick)
    band = Manifold.extrude(profile, width).rotate((90, 0, 90)).translate((-width / 2, 0, 0))
    gap = box(0.22 * width, 0.36 * depth, height, 0.05 * width).translate(
        (0, front, 1.2 * thickness)
    )
    return (main(band - gap, "plastic", "orange"),)


def _stroke(line: list[tuple[float, float]], radius: float) -> CrossSection:
    """A band of even width along a line, round at its ends and corners."""
    dots = [CrossSection.circle(radius, 48).translate(place) for place in line]
    bars = [CrossSection.batch_hull([dots[at], dots[at + 1]]) for at in range(len(dots) - 1)]
    return CrossSection.batch_boolean(bars, OpType.Add)
