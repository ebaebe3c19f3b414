"""Sheets fill their contour exactly, and their rims are loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.threed.scene import disc, noise
from usina.apps.threed.sheet import Sheet, boundary, fill_contour, fill_rectangle
from usina.imaging.array import Field


def areas(sheet: Sheet) -> Field:
    a, b, c = (sheet.points[sheet.faces[:, corner]] for corner in range(3))
    return ((c - a)[:, 0] * (b - a)[:, 1] - (c - a)[:, 1] * (b - a)[:, 0]) / 2


@pytest.mark.parametrize("step", [1.25, 2, 3, 5])
def test_a_disc_is_round_between_pixels(step: float) -> None:
    sheet = fill_contour(disc(300, 260, 150, 130, 100), step)
    away = np.hypot(*(sheet.points[sheet.on_rim] - [150, 130]).T)
    assert np.abs(away - 100).max() < 0.2 * step
    assert areas(sheet).sum() == pytest.approx(np.pi * 100**2, rel=0.002)
    assert areas(sheet).min() > 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), grain=st.floats(1.5, 12), step=st.floats(1.25, 6))
def test_any_shape_has_a_rim_of_closed_loops(seed: int, grain: float, step: float) -> None:
    sheet = fill_contour(0.5 + noise(60, 90, grain, seed), step)
    ins, outs = np.sort(sheet.rim[:, 1]), np.sort(sheet.rim[:, 0])
    assert (ins == outs).all()
    assert len(np.unique(outs)) == len(outs)
    edges = np.sort(sheet.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert counts.max(initial=1) <= 2
    assert (areas(sheet) > 0).all()


def test_a_rectangle_is_filled_to_its_corners() -> None:
    sheet = fill_rectangle(120, 70, 7)
    assert areas(sheet).sum() == pytest.approx(120 * 70)
    assert sheet.points.min(axis=0).tolist() == [0, 0]
    assert sheet.points.max(axis=0).tolist() == [120, 70]
    assert len(sheet.rim) == 2 * (round(120 / 7) + round(70 / 7))
    assert boundary(sheet.faces).shape == sheet.rim.shape
