"""Spheres in a tube: known packings, the porosity that is asked for, what can not be."""

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from usina.apps.cfd.packing.contact import contacts
from usina.apps.cfd.packing.order import read_order
from usina.apps.cfd.packing.pack import Packed, Packing
from usina.apps.cfd.porosity import core_porosity, radial_profile, top_of, tube_around
from usina_runner import Cancelled, InvalidInput

TUBE: dict[str, Any] = {"diameter_m": 0.05, "height_m": 0.3, "particle_diameter_m": 0.01}


def nothing_new(share: float | None = None) -> None:
    assert share is None or 0 <= share <= 1


def packed(sweeps: int = 300, stacking: Any = "hcp", **params: Any) -> Packed:
    order = read_order(TUBE | {"seed": 1} | params)
    return Packing(order, sweeps, stacking, nothing_new).make()


def core(made: Packed, diameter_m: float = 0.05) -> float:
    found = core_porosity(made.particles, diameter_m)
    assert found is not None
    return found.value


@pytest.mark.parametrize(("wide", "expected"), [(1.2, 0.5275), (1.5, 0.6579), (1.8, 0.6571)])
def test_a_narrow_tube_gives_the_packing_of_geometry(wide: float, expected: float) -> None:
    made = packed(
        diameter_m=0.01 * wide, particle_diameter_m=0.01, particle_count=120, height_m=2.0
    )
    assert core(made, 0.01 * wide) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(("wide", "count"), [(1.8, 300), (1.95, 200)])
def test_the_weight_of_a_tall_column_presses_nobody_into_another(wide: float, count: int) -> None:
    made = packed(
        800,
        diameter_m=0.01 * wide,
        particle_diameter_m=0.01,
        particle_count=count,
        height_m=3.0,
    )
    assert contacts(made.particles, 0.01 * wide).overlap < 1e-3


def test_nobody_overlaps_and_all_are_inside() -> None:
    for sweeps in (0, 60, 800):
        made = packed(sweeps, particle_count=300).particles
        found = contacts(made, 0.05)
        assert found.overlap < 1e-3
        assert found.wall_overlap < 1e-6
        assert tube_around(made) <= 0.05 + 1e-8
        assert found.mean is not None
        assert 4 < found.mean < 7


def test_more_sweeps_make_a_denser_bed_within_what_is_known() -> None:
    found = [core(packed(sweeps, particle_count=400)) for sweeps in (0, 60, 800)]
    assert found[0] > found[1] + 0.02 > found[2] + 0.03
    assert 0.47 < found[0] < 0.53
    assert 0.40 < found[2] < 0.445


def test_the_wall_orders_the_spheres() -> None:
    """Porosity is least half a diameter from the wall, and most one diameter from it."""
    made = packed(800, diameter_m=0.08, particle_count=900).particles
    seen = radial_profile(made, 0.08, 0.01, top_of(made) - 0.01, shells=80)
    near = seen.place_m < 0.016
    away, porosity = seen.place_m[near] / 0.01, seen.porosity[near]
    assert porosity[0] > 0.85
    assert away[porosity.argmin()] == pytest.approx(0.5, abs=0.08)
    later = away > 0.6
    assert away[later][porosity[later].argmax()] == pytest.approx(1.0, abs=0.12)
    assert porosity.min() < 0.3
    assert porosity[later].max() > 0.48


@pytest.mark.parametrize("target", [0.43, 0.46, 0.49])
def test_a_bed_has_the_porosity_that_is_asked_for(target: float) -> None:
    made = packed(particle_count=300, target_porosity=target)
    assert core(made) == pytest.approx(target, abs=0.003)
    assert contacts(made.particles, 0.05).overlap < 1e-3


def test_a_porosity_out_of_reach_is_refused_with_what_is_in_reach() -> None:
    for target in (0.3, 0.6):
        with pytest.raises(InvalidInput, match=r"from 0\.4\d\d to 0\.(4|5)\d\d") as refused:
            packed(particle_count=150, target_porosity=target)
        assert refused.value.reason == "porosity_out_of_reach"


def test_a_height_is_filled() -> None:
    made = packed(packing_height_m=0.12)
    assert 0.112 < top_of(made.particles) <= 0.12 + 1e-9
    both = packed(packing_height_m=0.12, target_porosity=0.45)
    assert core(both) == pytest.approx(0.45, abs=0.003)
    assert len(both.particles) < len(made.particles)


@pytest.mark.parametrize("stacking", ["hcp", "fcc"])
def test_layers_touch_and_are_as_dense_as_can_be_far_from_the_wall(stacking: str) -> None:
    made = packed(
        stacking=stacking, method="hexagonal", diameter_m=0.2, packing_height_m=0.1, height_m=0.1
    )
    found = contacts(made.particles, 0.2)
    assert found.overlap < 1e-9
    assert found.numbers is not None
    assert np.bincount(found.numbers).argmax() == 12
    middle = np.hypot(*made.particles.centres[:, :2].T) < 0.06
    inner = made.particles.centres[middle]
    heights = np.unique(inner[:, 2].round(6))
    assert np.diff(heights) == pytest.approx(0.01 * np.sqrt(2 / 3), abs=2e-6)
    again = packed(stacking=stacking, method="hexagonal", particle_count=100, seed=9)
    assert len(again.particles) == 100


@pytest.mark.parametrize(
    ("params", "reason", "words"),
    [
        ({"particle_count": 50, "packing_height_m": 0.1}, "count_and_height", "not both"),
        ({"particle_diameter_m": 0.06}, "particle_too_large", "0.06 m does not fit"),
        ({"height_m": 0.005}, "particle_too_large", "high"),
        ({"particle_count": 10_000}, "bed_too_high", r"742 fit"),
        ({"particle_count": 640}, "bed_too_high", r"\d{3} fit"),
        ({"packing_height_m": 0.4}, "bed_too_high", "0.3 m high"),
        ({"packing_height_m": 0.004}, "bed_too_low", "less than one"),
        ({"particle_diameter_m": 0.001, "packing_height_m": 0.2}, "too_many_particles", "10000"),
        ({"particle_count": 12, "target_porosity": 0.45}, "no_core", "lower than three"),
        ({"method": "hexagonal", "target_porosity": 0.2}, "porosity_out_of_reach", "layers"),
        (
            {"particle_shape": "ring", "particle_inner_diameter_m": 0.01},
            "bore_too_wide",
            "smaller",
        ),
        ({"particle_shape": "cube", "particle_diameter_m": 0.03}, "particle_too_large", "turn"),
    ],
)
def test_what_can_not_be_is_refused_with_what_can(
    params: dict[str, Any], reason: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        packed(**params)
    assert refused.value.reason == reason


def test_a_refusal_says_how_many_fit() -> None:
    """As many as it says do fit."""
    with pytest.raises(InvalidInput, match="fit") as refused:
        packed(particle_count=640)
    fitting = int(refused.value.message.split(" fit")[0].split()[-1])
    assert 500 < fitting < 640
    assert top_of(packed(particle_count=fitting - 20).particles) <= 0.3


PROGRAM = """
import hashlib
from tests.cfd.packing.test_pack import packed
print(hashlib.sha256(packed(particle_count=80, sweeps=80).particles.centres.tobytes()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bits_in_another_process() -> None:
    here = hashlib.sha256(packed(particle_count=80, sweeps=80).particles.centres.tobytes())
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.hexdigest()
    other = packed(particle_count=80, sweeps=80, seed=2).particles.centres.tobytes()
    assert hashlib.sha256(other).hexdigest() != here.hexdigest()


def test_it_stops_within_a_moment_of_being_told() -> None:
    """It asks often: some thirty times in the work of a second or two."""
    asked = 0

    def stop_later(share: float | None = None) -> None:
        nonlocal asked
        asked += 1
        if asked == 60:
            raise Cancelled

    order = read_order(TUBE | {"seed": 1, "diameter_m": 0.2, "particle_count": 5000})
    with pytest.raises(Cancelled):
        Packing(order, 400, "hcp", stop_later).make()
