"""Closing, simplifying and measuring meshes."""

import numpy as np
import pytest

from tests.threed.body import cube
from tests.threed.scene import blob, noise, real
from usina.apps.threed.inflate import inflate
from usina.apps.threed.mesh import (
    Mesh,
    close_sheet,
    decimate,
    decimate_open,
    is_watertight,
    measure,
    mend,
    merged,
)
from usina.apps.threed.plaque import Frame, Plaque, build
from usina.apps.threed.sheet import boundary, fill_contour, fill_rectangle


def test_a_cube_is_measured_right() -> None:
    measures = measure(cube(2).points, cube(2).faces)
    assert measures.watertight
    assert measures.volume == pytest.approx(8)
    assert measures.bounds.tolist() == [[0, 0, 0], [2, 2, 2]]
    assert (measures.vertices, measures.faces) == (8, 12)


def test_seams_do_not_make_a_surface_leak() -> None:
    mesh = cube()
    split = mesh.points[mesh.faces].reshape(-1, 3)
    assert not is_watertight(np.arange(36).reshape(-1, 3))
    measures = measure(split, np.arange(36).reshape(-1, 3))
    assert measures.watertight
    assert measures.vertices == 36


def test_leaks_are_told() -> None:
    faces = cube().faces
    flipped = faces.copy()
    flipped[3] = flipped[3, ::-1]
    pinched = faces.copy()
    pinched[0, 1] = pinched[0, 0]
    doubled = np.concatenate([faces, faces[:1]])
    for broken in (faces[1:], flipped, pinched, doubled, faces[:0]):
        assert not is_watertight(broken)


@pytest.mark.parametrize("step", [1.5, 4])
def test_closed_sheets_have_no_leak_and_the_right_volume(step: float) -> None:
    sheet = fill_contour(blob(), step)
    count = len(sheet.points)
    mesh = close_sheet(sheet, np.full(count, 3.0), np.full(count, -2.0))
    measures = measure(mesh.points, mesh.faces)
    assert measures.watertight
    assert measures.volume == pytest.approx(5 * (blob() > 0.5).sum(), rel=0.01)


def test_simplified_meshes_keep_their_volume_and_stay_closed() -> None:
    sheet = fill_contour(blob(), 2)
    height = 10 + 5 * np.sin(sheet.points[:, 0] / 20) * np.cos(sheet.points[:, 1] / 15)
    mesh = close_sheet(sheet, height, -height)
    exact = measure(mesh.points, mesh.faces)
    for target, off, over in ((8000, 0.005, 0.001), (2000, 0.02, 0.001), (500, 0.06, 1.05)):
        simple = decimate(mesh, target)
        measures = measure(simple.points, simple.faces)
        assert measures.watertight
        assert measures.faces == pytest.approx(target, rel=over)
        assert measures.volume == pytest.approx(exact.volume, rel=off)
    assert decimate(mesh, 10**6) is mesh


@pytest.mark.parametrize("name", ["horse.png", "rocket.jpg"])
@pytest.mark.parametrize("target", [500, 2000, 60_000])
def test_the_triangles_asked_for_are_made(name: str, target: int) -> None:
    """Also where legs, a tail and a slit are thin, and where the object is small."""
    balloon = inflate(real(name)[1].inside, depth=0.5, faces=target)
    simple = decimate(balloon.mesh(), target)
    assert is_watertight(simple.faces)
    assert len(simple.faces) == pytest.approx(target, rel=0.01)


def test_what_is_pinched_to_an_edge_is_pinched_to_a_point() -> None:
    """Two cubes that share an edge."""
    one = cube()
    points = np.concatenate([one.points, one.points + np.array([1, 1, 0])])
    pair = merged(points, np.concatenate([one.faces, one.faces + 8]))
    assert not is_watertight(pair.faces)
    mended = mend(pair)
    assert is_watertight(mended.faces)
    assert len(mended.faces) == 24 - 4


@pytest.mark.parametrize("frame", [0.0, 0.03])
@pytest.mark.parametrize("target", [500, 20_000])
def test_plaques_count_their_frames(frame: float, target: int) -> None:
    rows, columns = np.indices((200, 300))
    height = 10 + np.sin(rows / 9) + np.cos(columns / 7)
    height[[0, -1]], height[:, [0, -1]] = 10, 10
    built = build(Plaque(height, Frame(9, 14) if frame else None), target)
    assert is_watertight(built.mesh.faces)
    assert len(built.mesh.faces) == pytest.approx(target, rel=0.002)


def test_points_that_fall_together_are_welded() -> None:
    sheet = fill_rectangle(300, 200, 3)
    flat = np.column_stack([sheet.points, np.zeros(len(sheet.points))])
    simple = decimate_open(Mesh(flat, sheet.faces[:, ::-1]), 1500)
    assert len(np.unique(simple.points.astype(np.float32), axis=0)) == len(simple.points)


def test_an_open_surface_keeps_its_rim() -> None:
    sheet = fill_rectangle(240, 160, 2)
    height = 8 * noise(160, 240, 6).ravel()[: len(sheet.points)]
    height = np.resize(height, len(sheet.points))
    mesh = Mesh(np.column_stack([sheet.points * [1, -1], height]), sheet.faces)
    simple = decimate_open(mesh, 3000)
    assert len(simple.faces) <= 1.3 * 3000
    rim = {tuple(point) for point in mesh.points[np.unique(sheet.rim)].round(3)}
    kept = {tuple(point) for point in simple.points[np.unique(boundary(simple.faces))]}
    assert rim == kept
