"""Inflation against what is known exactly about the membrane."""

import numpy as np
import pytest

from tests.threed.scene import disc, real
from usina.apps.threed.inflate import Balloon, inflate
from usina.apps.threed.mesh import decimate, face_normals, is_watertight, measure, unit
from usina.imaging.array import Field

RADIUS = 110.0
CENTRE = np.array([160.0, 140.0])
DISC = disc(320, 280, *CENTRE, RADIUS)


def thickness(balloon: Balloon) -> float:
    return 2 * float(balloon.height.max())


@pytest.mark.parametrize("depth", [0.2, 0.5, 1.0])
def test_a_disc_becomes_an_ellipsoid(depth: float) -> None:
    balloon = inflate(DISC, depth=depth, faces=20_000)
    away = np.linalg.norm(balloon.sheet.points - CENTRE, axis=1)
    exact = depth * np.sqrt(np.maximum(RADIUS**2 - away**2, 0))
    inner = away < 0.95 * RADIUS
    assert balloon.height[inner] == pytest.approx(exact[inner], rel=0.02)
    mesh = decimate(balloon.mesh(), 20_000)
    measures = measure(mesh.points, mesh.faces)
    assert measures.watertight
    assert measures.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3 * depth, rel=0.02)
    assert thickness(balloon) == pytest.approx(2 * RADIUS * depth, rel=0.01)


def test_a_long_bar_becomes_a_cylinder() -> None:
    bar = np.zeros((120, 700))
    bar[40:80, 20:680] = 1
    balloon = inflate(bar, depth=1.0, faces=40_000)
    middle = np.abs(balloon.sheet.points[:, 0] - 350) < 100
    across = balloon.sheet.points[middle, 1] - 60
    exact = np.sqrt(np.maximum(20**2 - across**2, 0))
    inner = np.abs(across) < 18
    assert balloon.height[middle][inner] == pytest.approx(exact[inner], rel=0.05)


def test_a_ring_keeps_its_hole() -> None:
    ring = disc(320, 280, *CENTRE, 110) - disc(320, 280, *CENTRE, 50)
    mesh = inflate(ring, depth=1.0, faces=10_000).mesh()
    assert is_watertight(mesh.faces)
    euler = len(mesh.points) - len(mesh.faces) / 2
    assert euler == 0


def test_normals_are_those_of_the_ellipsoid() -> None:
    balloon = inflate(DISC, depth=0.5, faces=20_000)
    mesh = decimate(balloon.mesh(), 20_000)
    normals = unit(balloon.corner_normals(mesh))
    place = mesh.points[mesh.faces]
    exact = unit((place - [160, -140, 0]) / np.array([RADIUS, RADIUS, RADIUS / 2]) ** 2)
    assert np.quantile((normals * exact).sum(axis=2), 0.01) > 0.99
    assert ((normals * face_normals(mesh)[:, None]).sum(axis=2) > 0).mean() > 0.999


def test_what_leaves_the_picture_ends_in_a_flat_cut() -> None:
    half = disc(320, 280, 160, 280, RADIUS)
    balloon = inflate(half, depth=1.0, faces=20_000)
    mesh = decimate(balloon.mesh(), 20_000)
    assert mesh.points[:, 1].min() == pytest.approx(-280, abs=0.01)
    cut = face_normals(mesh)[:, 1] < -0.999
    corner = mesh.points[mesh.faces[cut]]
    area = (
        np.linalg.norm(
            np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1
        ).sum()
        / 2
    )
    assert area == pytest.approx(np.pi * RADIUS**2, rel=0.03)
    volume = measure(mesh.points, mesh.faces).volume
    assert volume == pytest.approx(2 / 3 * np.pi * RADIUS**3, rel=0.03)


def test_a_picture_full_of_object_is_a_pillow() -> None:
    mesh = inflate(np.ones((120, 160)), depth=0.5, faces=2000).mesh()
    assert is_watertight(mesh.faces)
    assert np.ptp(mesh.points[:, 2]) == pytest.approx(0.5 * 120, rel=0.03)


@pytest.mark.parametrize("name", ["astronaut.png", "horse.png", "coffee.png", "rocket.jpg"])
@pytest.mark.parametrize("faces", [500, 20_000])
def test_real_objects_close(name: str, faces: int) -> None:
    balloon = inflate(real(name)[1].inside, depth=0.5, faces=faces)
    mesh = decimate(balloon.mesh(), faces)
    measures = measure(mesh.points.astype(np.float32).astype(np.float64), mesh.faces)
    assert measures.watertight
    assert measures.volume > 0
    assert faces * 0.9 <= measures.faces <= faces * 1.3


def test_a_sliver_of_three_pixels_is_an_object_too() -> None:
    thin: Field = np.zeros((200, 200))
    thin[99:102, 20:180] = 1
    mesh = inflate(thin, depth=0.5, faces=20_000).mesh()
    assert is_watertight(mesh.faces)
