"""The lattice against flows that are known exactly, or to four digits since 1982."""

import numpy as np
import pytest

from usina.apps.cfd.lattice.domain import connect, leads_through
from usina.apps.cfd.lattice.known import cubic_array, drag_of, plates, tube
from usina.apps.cfd.lattice.stokes import Settling, Stokes, settle


def steady(flow: Stokes, tolerance: float = 1e-4) -> Stokes:
    assert settle(flow, Settling(), tolerance=tolerance, most_steps=20_000)
    return flow


@pytest.mark.parametrize("gap", [1, 4, 9])
def test_between_plates_the_parabola_is_exact(gap: int) -> None:
    flow = steady(Stokes(connect(plates(gap), "periodic")), 1e-13)

    place = np.arange(gap) + 0.5
    across = flow.mobility()[2].reshape(-1, gap)
    assert across == pytest.approx(np.broadcast_to(place * (gap - place) / 2, across.shape))
    assert np.abs(across / (place * (gap - place) / 2) - 1).max() < 1e-9
    assert np.abs(flow.mobility()[:2]).max() < 1e-12


def test_a_round_tube_carries_what_hagen_and_poiseuille_say() -> None:
    flow = steady(Stokes(connect(tube(32), "periodic")))

    carried = flow.mobility()[2].sum()
    assert carried == pytest.approx(np.pi * 16**4 / 8, rel=0.01)
    assert flow.mobility()[2].max() == pytest.approx(16**2 / 4, rel=0.01)


@pytest.mark.parametrize(
    ("solid", "side", "expected", "tolerance"),
    [(0.125, 24, 4.292, 0.03), (0.343, 24, 15.4, 0.015), (np.pi / 6, 24, 42.1, 0.02)],
)
def test_cubic_arrays_resist_as_zick_and_homsy_say(
    solid: float, side: int, expected: float, tolerance: float
) -> None:
    flow = steady(Stokes(connect(cubic_array(side, solid), "periodic"), threads=2))

    assert drag_of(flow, side, solid) == pytest.approx(expected, rel=tolerance)


def rubble() -> np.ndarray:
    return np.random.default_rng(1).random((6, 8, 9)) > 0.3


def test_a_mirrored_end_is_the_flow_through_the_bed_and_its_mirror_image() -> None:
    half = Stokes(connect(rubble(), "mirrored"))
    whole = Stokes(connect(np.concatenate([rubble(), rubble()[::-1]]), "periodic"))
    for flow in (half, whole):
        flow.advance(300)

    first = whole.mobility()[:, : len(half.domain.nodes)]
    assert np.abs(half.mobility() - first).max() < 1e-12
    assert np.abs(first).max() > 0.1


def test_threads_change_nothing_and_viscosity_not_the_end() -> None:
    one, two = (Stokes(connect(rubble(), "mirrored"), threads) for threads in (1, 2))
    for flow in (one, two):
        flow.advance(100)
    assert one.slots.tobytes() == two.slots.tobytes()

    thick, thin = (
        steady(Stokes(connect(rubble(), "mirrored"), viscosity=each), 1e-10)
        for each in (1 / 6, 1 / 24)
    )
    assert thin.mobility() == pytest.approx(thick.mobility(), abs=1e-6)


def test_a_way_through_is_found_where_there_is_one() -> None:
    fluid = np.ones((6, 4, 4), dtype=bool)
    assert leads_through(fluid)
    fluid[3] = False
    assert not leads_through(fluid)
    fluid[3, 2, 1] = True
    assert leads_through(fluid)
