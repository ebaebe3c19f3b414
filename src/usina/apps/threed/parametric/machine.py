"""Parts of machines: to the millimetre, and by their standards where there is one."""

from math import acos, cos, pi, radians, tan
from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main, standing, trim, union
from usina.apps.threed.parametric.measure import Count, Length, within
from usina.apps.threed.parametric.shape import (
    around,
    ball,
    box,
    circle,
    curve,
    cylinder,
    lathe,
    outline,
    raised,
    sweep,
    turn,
)
from usina.apps.threed.parametric.solid import section
from usina.imaging.array import Field

PRESSURE_ANGLE = radians(20)
ADDENDUM, DEDENDUM, ROOT_RADIUS = 1.0, 1.25, 0.38
"""Of the basic rack, ISO 53 profile A, in modules."""


def gear(
    module: Annotated[float, Length(0.0002, 0.05)] = 0.002,
    teeth: Annotated[int, Count(8, 200)] = 24,
    thickness: Annotated[float, Length(0.0005, 0.3)] = 0.01,
    bore: Annotated[float, Length(0.0001, 8.0)] | None = None,
) -> Body:
    """A spur gear with involute teeth (ISO 21771-1 without profile shift, basic rack of ISO 53):
    tip diameter m (z + 2), root diameter m (z - 2.5), tooth and gap equally wide at m z."""
    root = gear_root_radius(module, teeth)
    hole = bore / 2 if bore else 0.28 * root
    within("bore", 2 * hole, 0.05 * root, 1.6 * root)
    within("thickness", thickness, 0.3 * module, 2 * module * teeth)
    wheel = Manifold.extrude(section(gear_outline(module, teeth)), thickness)
    soft = 0.06 * thickness
    wheel -= turn(
        (0, -soft),
        (hole + soft, -soft),
        (hole + soft, 0),
        (hole, soft),
        (hole, thickness - soft),
        (hole + soft, thickness),
        (hole + soft, thickness + soft),
        (0, thickness + soft),
    )
    rim, hub = root - 1.4 * module, hole + max(0.35 * hole, 0.14 * root)
    if rim - hub > 0.3 * root:
        wheel -= _web(hub, rim, thickness)
    return (main(wheel, "steel"),)


def _web(hub: float, rim: float, thickness: float) -> Manifold:
    """What is taken away between hub and rim: a recess on both sides, and round holes."""
    recess = turn(
        (hub, -thickness),
        (rim, -thickness),
        (rim, 0.25 * thickness, 0.1 * thickness),
        (hub, 0.25 * thickness, 0.1 * thickness),
    )
    middle, wide = (hub + rim) / 2, (rim - hub) / 2
    count = max(4, min(8, int(2 * pi * middle / (2.9 * wide))))
    hole = cylinder(0.66 * wide, 3 * thickness, 48).translate((middle, 0, -thickness))
    return union(
        [recess, recess.mirror((0, 0, 1)).translate((0, 0, thickness)), *around(hole, count, 90)]
    )


def gear_root_radius(module: float, teeth: int) -> float:
    return module * (teeth / 2 - DEDENDUM)


def gear_outline(module: float, teeth: int) -> Field:
    """``(n, 2)``: every tooth with its involute flanks up to the tip, and a fillet down to the
    root; the first tooth points along +x."""
    pitch, tip = module * teeth / 2, module * (teeth / 2 + ADDENDUM)
    root, base = gear_root_radius(module, teeth), pitch * cos(PRESSURE_ANGLE)
    start = max(base, root + (DEDENDUM - ADDENDUM) * module)
    reach = np.linspace(start, tip, 14)
    middle = pi / 2 / teeth + involute(PRESSURE_ANGLE)
    flank = np.array([middle - involute(acos(min(1.0, base / radius))) for radius in reach])
    foot = float(flank[0]) + min(ROOT_RADIUS * module / root, 0.9 * (pi / teeth - flank[0]))
    turns = np.linspace(0, pi / 2, 7)[1:-1]
    fillet = [foot - (foot - flank[0]) * np.sin(turns), root + (start - root) * (1 - np.cos(turns))]
    gap, crest = np.linspace(pi / teeth, foot, 5), np.linspace(float(flank[-1]), 0.0, 4)[1:-1]
    half = np.concatenate(
        [
            np.column_stack([gap, np.full(len(gap), root)]),
            np.column_stack(fillet),
            np.column_stack([flank, reach]),
            np.column_stack([crest, np.full(len(crest), tip)]),
        ]
    )
    tooth = np.concatenate([half * [-1, 1], half[:0:-1]])
    angle = (tooth[None, :, 0] + 2 * pi * np.arange(teeth)[:, None] / teeth).ravel()
    radius = np.tile(tooth[:, 1], teeth)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def involute(angle: float) -> float:
    """inv(alpha) = tan(alpha) - alpha."""
    return tan(angle) - angle


def spring(
    diameter: Annotated[float, Length(0.001, 1.0)] = 0.024,
    length: Annotated[float, Length(0.002, 3.0)] = 0.06,
    wire: Annotated[float, Length(0.0001, 0.1)] = 0.0028,
    coils: Annotated[int, Count(2, 40)] = 7,
) -> Body:
    """A compression spring with one closed coil at each end; ``diameter`` outside, ``length`` over
    all, ``coils`` that can move."""
    least, windings = max(0.0001, diameter / 60), coils + 3.3
    within("length", length, windings * least, 30 * diameter)
    within("wire", wire, least, min(0.35 * diameter, length / windings))
    radius, turns = (diameter - wire) / 2, coils + 2
    count = 36 * turns + 1
    turn_at = np.linspace(0, turns, count)
    closed = 1.04 * wire
    height = np.interp(
        turn_at, [0, 1, turns - 1, turns], [0, closed, length - wire - closed, length - wire]
    )
    angle = 2 * pi * turn_at
    path = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height + wire / 2])
    coil = sweep(path, wire / 2, sides=20)
    return standing((main(coil, "steel"),), diameter, diameter, length)


def bearing(
    bore: Annotated[float, Length(0.002, 0.5)] = 0.008,
    diameter: Annotated[float, Length(0.005, 1.0)] = 0.022,
    width: Annotated[float, Length(0.001, 0.3)] = 0.007,
) -> Body:
    """A deep groove ball bearing lying on its side; the default is a 608 (ISO 15: 8 x 22 x 7). The
    rings, the cage and every ball are bodies of their own."""
    within("bore", bore, 0.1 * diameter, 0.7 * diameter)
    space = (diameter - bore) / 2
    within("width", width, 0.3 * space, 4 * space)
    middle, size = (diameter + bore) / 4, min(0.29 * space, 0.42 * width)
    shoulder = 0.24 * space
    groove = lathe(circle(1.03 * size, 32) + np.array([middle, width / 2]), 96)
    soft = 0.05 * space
    outer, inner = diameter / 2, bore / 2
    rings = [
        turn((low, 0, soft), (high, 0, soft), (high, width, soft), (low, width, soft)) - groove
        for low, high in (
            (inner, inner + shoulder + 0.1 * space),
            (outer - shoulder - 0.1 * space, outer),
        )
    ]
    count = max(6, int(2 * pi * middle / (2.6 * size)))
    balls = around(ball(size, 28).translate((middle, 0, width / 2)), count)
    gap = around(ball(1.08 * size, 24).translate((middle, 0, width / 2)), count)
    thin, half = 0.08 * space, min(0.48 * width, 1.08 * size + 0.1 * space)
    cage = turn(
        (middle - thin, width / 2 - half),
        (middle + thin, width / 2 - half),
        (middle + thin, width / 2 + half),
        (middle - thin, width / 2 + half),
    ) - union(gap)
    return main(union(rings), "steel"), trim(union(balls), "silver"), trim(cage, "brass")


def knob(
    diameter: Annotated[float, Length(0.005, 0.3)] = 0.036,
    height: Annotated[float, Length(0.004, 0.3)] = 0.024,
    bore: Annotated[float, Length(0.001, 0.1)] = 0.006,
) -> Body:
    """A fluted knob with a pointer, and a blind hole for the shaft below."""
    within("bore", bore, 0.001, 0.45 * diameter)
    radius = diameter / 2
    soft = 0.12 * min(radius, height)
    body = turn(
        (0, 0),
        (radius, 0, 0.5 * soft),
        (radius, 0.16 * height, 0.4 * soft),
        (0.9 * radius, 0.2 * height, 0.4 * soft),
        (0.82 * radius, height, 1.2 * soft),
        (0.7 * radius, height),
        (0.66 * radius, 0.96 * height),
        (0, 0.96 * height),
    )
    flute = (
        cylinder(0.1 * radius, height, 20)
        .rotate((0, -3, 0))
        .translate((0.945 * radius, 0, 0.24 * height))
    )
    body -= union(around(flute, 18, 100))
    body -= cylinder(bore / 2, 0.7 * height, 48).translate((0, 0, -0.1 * height))
    mark = box(0.09 * radius, 0.5 * radius, 0.1 * height).translate(
        (0, -0.36 * radius, 0.9 * height)
    )
    return main(body, "plastic", "dark grey"), trim(mark, "plastic", "white")


def hook(
    height: Annotated[float, Length(0.02, 0.5)] = 0.08,
    width: Annotated[float, Length(0.008, 0.3)] = 0.03,
) -> Body:
    """A wall hook with two countersunk holes; ``height`` and ``width`` of its plate."""
    within("width", width, 0.2 * height, height)
    thick = 0.14 * width
    plate_line = outline(
        (-width / 2, 0, width / 2.01),
        (width / 2, 0, width / 2.01),
        (width / 2, height, width / 2.01),
        (-width / 2, height, width / 2.01),
    )
    plate = raised(plate_line, thick, 0.3 * thick).rotate((90, 0, 0))
    hole = 0.09 * width
    for z in (0.5 * width, height - 0.42 * width):
        plate -= cylinder(hole, 3 * thick, 32).rotate((90, 0, 0)).translate((0, thick, z))
        sink = Manifold.cylinder(1.2 * hole, 0, 2.4 * hole, 32)
        plate -= sink.rotate((90, 0, 0)).translate((0, -thick + 1.15 * hole, z))
    reach = min(0.6 * height, 1.3 * width)
    low = 0.24 * height
    arm = 0.14 * width
    line = curve(
        [
            (-0.3 * thick, 0.56 * height),
            (-0.35 * reach, 0.44 * height),
            (-0.62 * reach, low),
            (-reach, low + 0.06 * height),
            (-1.12 * reach, 0.46 * height),
        ]
    )
    path3 = np.column_stack([np.zeros(len(line)), line])
    radius = arm * np.interp(np.linspace(0, 1, len(line)), [0, 0.15, 1], [1.25, 1.0, 0.85])
    bend = sweep(path3, radius, sides=28)
    tip = ball(1.35 * arm, 40).translate(tuple(path3[-1]))
    return (main(plate + bend + tip, "iron"),)


def bracket(
    width: Annotated[float, Length(0.01, 0.5)] = 0.04,
    depth: Annotated[float, Length(0.01, 0.5)] = 0.05,
    height: Annotated[float, Length(0.01, 0.5)] = 0.05,
    thickness: Annotated[float, Length(0.001, 0.05)] = 0.004,
) -> Body:
    """An angle bracket with a rib and four holes, its upright plate behind."""
    least = min(width, depth, height)
    within("thickness", thickness, 0.001, 0.16 * least)
    soft = 0.12 * least
    foot = _drilled_plate(width, depth, thickness, soft)
    back = _drilled_plate(width, height, thickness, soft).rotate((90, 0, 0))
    foot = foot.translate((0, -depth, 0))
    back = back.rotate((0, 0, 0))
    rib = Manifold.extrude(
        section(np.array([(0.0, 0.0), (0.62 * depth, 0.0), (0.0, 0.62 * height)])), thickness
    )
    rib = rib.rotate((90, 0, 0)).rotate((0, 0, -90))
    rib = rib.translate((thickness / 2, 0, 0))
    solid = union([foot, back, rib])
    return (main(solid.translate((0, depth / 2, 0)), "aluminium"),)


def _drilled_plate(width: float, long: float, thick: float, soft: float) -> Manifold:
    """From y = 0 to ``long``, its outer corners round, with two holes beside the middle."""
    line = outline(
        (-width / 2, 0), (width / 2, 0), (width / 2, long, soft), (-width / 2, long, soft)
    )
    hole = cylinder(0.085 * width, 3 * thick, 48)
    holes = [hole.translate((x * 0.29 * width, 0.62 * long, -thick)) for x in (-1, 1)]
    return raised(line, thick, 0.15 * thick) - union(holes)
