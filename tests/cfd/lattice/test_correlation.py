"""The literature's formulas against values worked out by hand, and their honesty about range."""

import pytest

from usina.apps.cfd.correlation import (
    Bed,
    Flow,
    carman_kozeny,
    de_klerk,
    de_klerk_profile,
    dixon,
    eisfeld_schnitzlein,
    eisfeld_schnitzlein_resistance,
    ergun,
    ergun_resistance,
    modified_reynolds,
    particle_reynolds,
)

BED = Bed(porosity=0.4, particle_diameter_m=0.01, tube_diameter_m=0.1)
AIR = Flow(density_kg_m3=1.2, viscosity_pa_s=1.8e-5, velocity_m_s=0.1)


def test_reynolds_numbers() -> None:
    # 1.2 * 0.1 * 0.01 / 1.8e-5, and over 0.6
    assert particle_reynolds(BED, AIR) == pytest.approx(66.6667, rel=1e-5)
    assert modified_reynolds(BED, AIR) == pytest.approx(111.111, rel=1e-5)


def test_ergun_by_hand() -> None:
    # 150 * 0.36 / (0.064 * 1e-4) * 1.8e-6 = 15.1875; 1.75 * 0.6 / (0.064 * 0.01) * 0.012 = 19.6875
    estimate = ergun(BED, AIR)
    assert estimate.value == pytest.approx(15.1875 + 19.6875, rel=1e-9)
    assert estimate.in_range
    assert estimate.message == "Ergun (1952) is used within its range."
    assert ergun_resistance(BED).viscous_pa_m(AIR) == pytest.approx(15.1875)
    assert ergun_resistance(BED).permeability_m2 == pytest.approx(1.185185e-7, rel=1e-6)


def test_eisfeld_and_schnitzlein_by_hand() -> None:
    # wall 1 + 2 / (3 * 10 * 0.6) = 1.111111; loss (1.15 / 100 + 0.87)^2 = 0.777042
    # 154 * 1.234568 * 0.36 / 6.4e-6 * 1.8e-6 = 19.25; 1.429924 * 0.6 / 6.4e-4 * 0.012 = 16.0866
    estimate = eisfeld_schnitzlein(BED, AIR)
    assert estimate.value == pytest.approx(19.25 + 16.0866, rel=1e-5)
    assert estimate.in_range
    viscous = eisfeld_schnitzlein_resistance(BED, "cylinders").viscous_pa_m(AIR)
    assert viscous == pytest.approx(19.25 * 190 / 154)


def test_what_was_not_checked_is_not_in_range() -> None:
    cylinders, rings = (eisfeld_schnitzlein(BED, AIR, kind) for kind in ("cylinders", "others"))
    assert not cylinders.in_range
    assert not rings.in_range
    assert cylinders.message.endswith("for cylinders were not checked against the paper.")
    assert "among its data" in rings.message


def test_both_agree_with_what_was_computed_for_a_real_bed() -> None:
    bed = Bed(0.457, 0.0099, 0.05)
    assert ergun(bed, Flow(1.2, 1.8e-5, 0.1)).value == pytest.approx(20.57, abs=0.01)
    assert eisfeld_schnitzlein(bed, Flow(1.2, 1.8e-5, 0.1)).value == pytest.approx(23.73, abs=0.01)


def test_carman_kozeny_by_hand() -> None:
    # 0.064 * 1e-4 / (180 * 0.36)
    assert carman_kozeny(BED).value == pytest.approx(9.87654e-8, rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (5, 0.4 + 0.05 / 5 + 0.412 / 25),
        (2, 0.528),
        (1 / 0.52, 0.528 + 2.464 * 0.02),
        (1.5, 1 - 0.667 * (8 / 27) / (1 / 3) ** 0.5),
        (1, 1 - 0.667),
    ],
)
def test_dixon_of_spheres_by_hand(ratio: float, expected: float) -> None:
    assert dixon(ratio).value == pytest.approx(expected, rel=1e-9)
    assert dixon(ratio).in_range


@pytest.mark.parametrize(
    ("x", "expected"), [(0.2, 0.408), (0.65, 0.677 - 9 * 0.000625), (0.8, 1 - 0.763 * 0.64)]
)
def test_dixon_of_cylinders_by_hand(x: float, expected: float) -> None:
    assert dixon(1 / x, "cylinders").value == pytest.approx(expected, rel=1e-9)


def test_de_klerk_by_hand() -> None:
    assert de_klerk(5).value == pytest.approx(0.4 + 0.35 * 0.142274, rel=1e-5)
    assert not de_klerk(1.5).in_range
    wall, half, far = de_klerk_profile([0.0, 0.5, 40.0])
    assert (wall, half) == (1.0, pytest.approx(0.27))
    assert far == pytest.approx(0.4, abs=1e-6)


def test_what_is_beyond_a_range_is_said_with_its_value() -> None:
    narrow = ergun(Bed(0.45, 0.02, 0.1), AIR)
    assert not narrow.in_range
    assert narrow.message == (
        "Ergun (1952) is used beyond its range: tube over particle diameter is 5, it holds from "
        "10 on."
    )
    fast = eisfeld_schnitzlein(BED, Flow(1.2, 1.8e-5, 50))
    assert not fast.in_range
    assert "it holds from 0.01 to 17635" in fast.message


def test_a_tube_too_narrow_for_a_particle_is_no_tube() -> None:
    with pytest.raises(ValueError, match="No particle fits"):
        dixon(0.9)
