"""Standard parts against the tables of their standards."""

from math import acos, cos, hypot, pi, radians, sqrt, tan

import numpy as np
import pytest

from tests.threed.parametric.build import extent, volume
from usina.apps.threed.parametric.fastener import METRIC, hexagon_thread_length
from usina.apps.threed.parametric.machine import gear_outline, involute

ISO_261 = {
    "M3": 0.5,
    "M4": 0.7,
    "M5": 0.8,
    "M6": 1,
    "M8": 1.25,
    "M10": 1.5,
    "M12": 1.75,
    "M16": 2,
    "M20": 2.5,
    "M24": 3,
    "M30": 3.5,
    "M36": 4,
}
ISO_4014 = {
    "M3": (5.5, 2),
    "M4": (7, 2.8),
    "M5": (8, 3.5),
    "M6": (10, 4),
    "M8": (13, 5.3),
    "M10": (16, 6.4),
    "M12": (18, 7.5),
    "M16": (24, 10),
    "M20": (30, 12.5),
    "M24": (36, 15),
    "M30": (46, 18.7),
    "M36": (55, 22.5),
}
ISO_4032 = {
    "M3": 2.4,
    "M4": 3.2,
    "M5": 4.7,
    "M6": 5.2,
    "M8": 6.8,
    "M10": 8.4,
    "M12": 10.8,
    "M16": 14.8,
    "M20": 18,
    "M24": 21.5,
    "M30": 25.6,
    "M36": 31,
}
ISO_7089 = {
    "M3": (3.2, 7, 0.5),
    "M4": (4.3, 9, 0.8),
    "M5": (5.3, 10, 1),
    "M6": (6.4, 12, 1.6),
    "M8": (8.4, 16, 1.6),
    "M10": (10.5, 20, 2),
    "M12": (13, 24, 2.5),
    "M16": (17, 30, 3),
    "M20": (21, 37, 3),
    "M24": (25, 44, 4),
    "M30": (31, 56, 4),
    "M36": (37, 66, 5),
}
ISO_4762 = {
    "M3": (5.5, 3, 2.5, 1.3),
    "M4": (7, 4, 3, 2),
    "M5": (8.5, 5, 4, 2.5),
    "M6": (10, 6, 5, 3),
    "M8": (13, 8, 6, 4),
    "M10": (16, 10, 8, 5),
    "M12": (18, 12, 10, 6),
    "M16": (24, 16, 14, 8),
    "M20": (30, 20, 17, 10),
    "M24": (36, 24, 19, 12),
    "M30": (45, 30, 22, 15.5),
    "M36": (54, 36, 27, 19),
}

SIZES = list(ISO_261)


def in_mm(lengths: list[float]) -> list[float]:
    return [1000 * length for length in lengths]


@pytest.mark.parametrize("size", SIZES)
def test_a_bolt_is_that_of_iso_4014(size: str) -> None:
    flats, head = ISO_4014[size]
    diameter = METRIC[size].size
    long = 5 * diameter
    wide, deep, tall = in_mm(extent("bolt", thread=size, length=long / 1000))
    assert (wide, deep) == pytest.approx((flats, 2 * flats / sqrt(3)), rel=2e-3)
    assert tall == pytest.approx(head + long, rel=1e-6)
    assert METRIC[size].pitch == ISO_261[size]


def test_the_thread_length_is_that_of_iso_4014() -> None:
    lengths = [hexagon_thread_length(*case) for case in ((8, 40), (8, 130), (20, 210))]
    assert lengths == [22, 28, 65]


@pytest.mark.parametrize("size", SIZES)
def test_a_nut_is_that_of_iso_4032(size: str) -> None:
    flats = ISO_4014[size][0]
    wide, deep, tall = in_mm(extent("nut", thread=size))
    assert (wide, deep) == pytest.approx((flats, 2 * flats / sqrt(3)), rel=2e-3)
    assert tall == pytest.approx(ISO_4032[size], rel=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_a_washer_is_that_of_iso_7089(size: str) -> None:
    hole, disc, sheet = ISO_7089[size]
    wide, deep, tall = in_mm(extent("washer", thread=size))
    assert (wide, deep, tall) == pytest.approx((disc, disc, sheet), rel=1e-3)
    ring = pi / 4 * (disc**2 - hole**2) * sheet
    assert volume("washer", thread=size) * 1e9 == pytest.approx(ring, rel=0.02)


@pytest.mark.parametrize("size", SIZES)
def test_a_socket_screw_is_that_of_iso_4762(size: str) -> None:
    head, tall, socket, deep = ISO_4762[size]
    long = 4 * METRIC[size].size
    wide, _, high = in_mm(extent("screw", thread=size, length=long / 1000))
    assert (wide, high) == pytest.approx((head, tall + long), rel=2e-3)
    assert (METRIC[size].socket, METRIC[size].deep) == (socket, deep)


@pytest.mark.parametrize("size", ["M3", "M8", "M24"])
def test_a_fully_threaded_bolt_has_the_volume_of_its_profile(size: str) -> None:
    """The mean section of ISO 68-1's basic profile: crest P/8, root P/4, depth 5/8 H."""
    metric = METRIC[size]
    length = 2 * metric.size
    outer = metric.size / 2
    inner = outer - 5 / 8 * sqrt(3) / 2 * metric.pitch
    flank = (outer**2 + outer * inner + inner**2) / 3
    section = pi * (outer**2 / 8 + inner**2 / 4 + flank * 5 / 8)
    longer = volume("bolt", thread=size, length=2 * length / 1000 if length < 20 else 0.06)
    shorter = volume("bolt", thread=size, length=length / 1000)
    grown = (2 * length if length < 20 else 60) - length
    thread = hexagon_thread_length(metric.size, length + grown)
    if length + grown - thread <= 5 * metric.pitch:
        assert (longer - shorter) * 1e9 == pytest.approx(section * grown, rel=0.01)
    else:
        assert longer > shorter


@pytest.mark.parametrize(("module", "teeth"), [(0.002, 24), (0.001, 12), (0.0015, 60), (0.003, 8)])
def test_a_gear_has_the_diameters_of_iso_21771(module: float, teeth: int) -> None:
    radius = np.hypot(*gear_outline(module, teeth).T)
    assert radius.max() == pytest.approx(module * (teeth + 2) / 2)
    assert radius.min() == pytest.approx(module * (teeth - 2.5) / 2)


@pytest.mark.parametrize(("module", "teeth"), [(0.002, 24), (0.001, 18), (0.0015, 60)])
def test_a_tooth_is_as_wide_as_its_gap_on_the_pitch_circle(module: float, teeth: int) -> None:
    assert thickness_at(module, teeth, module * teeth / 2) == pytest.approx(
        pi * module / 2, rel=2e-3
    )


def test_flanks_are_involutes_of_the_base_circle() -> None:
    """ISO 21771: s = d (pi / 2z + inv(alpha) - inv(alpha at d))."""
    module, teeth, angle = 0.002, 24, radians(20)
    base = module * teeth / 2 * cos(angle)
    for radius in (0.0235, 0.0245, 0.0255):
        expected = 2 * radius * (pi / 2 / teeth + involute(angle) - involute(acos(base / radius)))
        assert thickness_at(module, teeth, radius) == pytest.approx(expected, rel=3e-3)
    assert involute(angle) == pytest.approx(tan(angle) - angle)
    assert involute(angle) == pytest.approx(0.014904, abs=1e-6)


def thickness_at(module: float, teeth: int, radius: float) -> float:
    """The arc of the first tooth at a radius."""
    outline = gear_outline(module, teeth)
    outline = outline[np.abs(np.arctan2(outline[:, 1], outline[:, 0])) < pi / teeth]
    upper = outline[outline[:, 1] > 0]
    reach = np.array([hypot(x, y) for x, y in upper.tolist()])
    turn = np.arctan2(upper[:, 1], upper[:, 0])
    order = np.argsort(reach)
    return 2 * radius * float(np.interp(radius, reach[order], turn[order]))
