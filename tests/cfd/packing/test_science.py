"""What the room's models share: shapes, files of particles, porosity, surfaces."""

import math
from pathlib import Path

import numpy as np
import pytest

from usina.apps.cfd.particles import COLUMNS, Particles, Shape, read_particles, write_particles
from usina.apps.cfd.particles import spheres as spheres_at
from usina.apps.cfd.porosity import (
    axial_profile,
    bulk_porosity,
    core_porosity,
    porosity_between,
    radial_profile,
    top_of,
    tube_around,
)
from usina.apps.cfd.surface import (
    COARSE,
    FINE,
    particle_surface,
    read_stl,
    triangles,
    volume_of,
    write_stl,
)
from usina_runner import InvalidInput

SHAPES = (
    Shape("sphere", 0.01),
    Shape("cube", 0.01),
    Shape("cylinder", 0.01, 0.015),
    Shape("ring", 0.01, 0.008, 0.006),
)


def turned(shape: Shape, count: int, seed: int = 3) -> Particles:
    """Particles at random places near the axis, turned at random."""
    chance = np.random.default_rng(seed)
    quaternions = chance.normal(size=(count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    centres = chance.uniform([-0.02, -0.02, 0.01], [0.02, 0.02, 0.05], (count, 3))
    return Particles(shape, centres, quaternions)


def test_the_sizes_of_shapes_are_those_of_geometry() -> None:
    sphere, cube, cylinder, ring = SHAPES
    assert sphere.sphericity == pytest.approx(1)
    assert sphere.equivalent_diameter_m == pytest.approx(0.01)
    assert cube.sphericity == pytest.approx((math.pi / 6) ** (1 / 3))
    assert cylinder.volume_m3 == pytest.approx(math.pi * 0.005**2 * 0.015)
    assert cylinder.surface_m2 == pytest.approx(2 * math.pi * 0.005 * (0.005 + 0.015))
    assert ring.volume_m3 == pytest.approx(math.pi * (0.005**2 - 0.003**2) * 0.008)
    with pytest.raises(ValueError, match="bore"):
        Shape("ring", 0.01, 0.01, 0.01)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_particles_come_back_from_their_file_to_the_bit(shape: Shape, tmp_path: Path) -> None:
    particles = turned(shape, 40)
    write_particles(tmp_path / "particles.csv", particles)
    again = read_particles(tmp_path / "particles.csv")
    assert again.shape == shape
    assert np.array_equal(again.centres, particles.centres)
    assert np.allclose(again.quaternions, particles.quaternions, rtol=0, atol=1e-15)


def test_a_file_of_somebody_else_may_have_only_places_and_diameters(tmp_path: Path) -> None:
    path = tmp_path / "bed.csv"
    path.write_text("\ufeffdiameter_m, x_m, y_m, z_m\r\n0.01,0,0,0.005\r\n\r\n0.01,0,0,1.5e-2\r\n")
    particles = read_particles(path)
    assert particles.shape == Shape("sphere", 0.01)
    assert particles.centres.tolist() == [[0, 0, 0.005], [0, 0, 0.015]]
    assert particles.quaternions.tolist() == [[1, 0, 0, 0]] * 2


HEADER = ",".join(COLUMNS)
GOOD = "0,0,0,0.01,cube,0,0,1,0,0,0"


@pytest.mark.parametrize(
    ("text", "reason", "word"),
    [
        ("", "bed_columns", "x_m"),
        ("x_m,y_m,diameter_m\n", "bed_columns", "z_m"),
        ("x_m,y_m,z_m,diameter_m,shape\n0,0,0,1,cube\n", "bed_columns", "length_m"),
        ("x_m,y_m,z_m,diameter_m\n", "bed_empty", "no particle"),
        ("x_m,y_m,z_m,diameter_m\n0,0,nan,0.01\n", "bed_number", "Line 2, column z_m"),
        ("x_m,y_m,z_m,diameter_m\n0,0,0,0.01\n0,inf,0,0.01\n", "bed_number", "Line 3, column y_m"),
        ("x_m,y_m,z_m,diameter_m\n1e300,0,0,0.01\n", "bed_number", "column x_m"),
        ("x_m,y_m,z_m,diameter_m\n0,0,0,0\n", "bed_shape", "positive"),
        ("x_m,y_m,z_m,diameter_m\n0,0,0,1,1\n", "bed_malformed", "Line 2 has 5"),
        ("x_m,y_m,z_m,diameter_m\n0,0,0,1\n0,0,0,2\n", "bed_mixed", "Line 3"),
        ('x_m,y_m,z_m,diameter_m\n"0,0,0,1\n', "bed_malformed", "Line"),
        (
            f"{HEADER}\n{GOOD}\n{GOOD.replace('cube', 'sphere')}\n",
            "bed_mixed",
            "Line 3 is a sphere",
        ),
        (f"{HEADER}\n{GOOD.replace('cube', 'pyramid')}\n", "bed_shape", "pyramid"),
        (f"{HEADER}\n{GOOD.replace('1,0,0,0', '0,0,0,0')}\n", "bed_number", "rotation"),
        ("x_m,y_m,z_m,diameter_m\n" + "0,0,0,1\n" * 100_001, "bed_too_many", "100000"),
    ],
)
def test_a_file_that_is_no_bed_is_refused_with_the_place(
    text: str, reason: str, word: str, tmp_path: Path
) -> None:
    path = tmp_path / "bed.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=word) as refused:
        read_particles(path)
    assert refused.value.reason == reason
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="UTF-8"):
        read_particles(path)


def test_caps_are_those_that_chance_finds() -> None:
    particles = turned(SHAPES[0], 60)
    low, high, tube = 0.022, 0.0385, 0.1
    chance = np.random.default_rng(1)
    inside = 0
    for centre in particles.centres:
        points = centre + 0.005 * chance.uniform(-1, 1, (20_000, 3))
        near = ((points - centre) ** 2).sum(axis=1) < 0.005**2
        inside += int((near & (points[:, 2] > low) & (points[:, 2] < high)).sum())
    found = porosity_between(particles, tube, low, high)
    by_chance = inside / 20_000 * 0.01**3
    filled = (1 - found.value) * math.pi * tube**2 / 4 * (high - low)
    assert filled == pytest.approx(by_chance, rel=0.005)
    assert found.error == 0


def test_two_narrow_packings_have_the_porosity_of_their_geometry() -> None:
    for wide, expected in ((1.2, 0.5275), (1.8, 0.6571)):
        radius = (wide - 1) / 2
        step = math.sqrt(1 - 4 * radius**2)
        count = 400
        centres = np.zeros((count, 3))
        centres[:, 0] = radius * (-1.0) ** np.arange(count)
        centres[:, 2] = 0.5 + step * np.arange(count)
        column = spheres_at(1.0, centres)
        whole = porosity_between(column, wide, centres[1, 2], centres[-1, 2])
        assert whole.value == pytest.approx(expected, abs=5e-5)
        assert tube_around(column) == pytest.approx(wide)
        core = core_porosity(column, wide)
        assert core is not None
        assert core.value == pytest.approx(expected, abs=2e-3)


def test_profiles_hold_what_the_whole_holds() -> None:
    for shape in SHAPES:
        particles, tube = turned(shape, 50), 0.1
        top = top_of(particles)
        axial = axial_profile(particles, tube)
        radial = radial_profile(particles, tube, 0.0, top, shells=400)
        bulk = bulk_porosity(particles, tube)
        assert axial.porosity.mean() == pytest.approx(bulk.value, abs=1e-9)
        weight = tube / 2 - radial.place_m
        assert np.average(radial.porosity, weights=weight) == pytest.approx(bulk.value, abs=2e-4)
        assert np.all(np.diff(radial.place_m) > 0)


def test_a_sphere_on_the_axis_is_seen_from_the_wall() -> None:
    ball = spheres_at(1.0, np.array([[0, 0, 0.5]]))
    seen = radial_profile(ball, 2.0, 0.0, 1.0, shells=50)
    away = 1 - seen.place_m
    expected = 1 - 2 * np.sqrt(np.maximum(0.25 - away**2, 0))
    assert np.abs(seen.porosity - expected).max() < 1e-9


def test_other_shapes_state_how_far_off_they_may_be() -> None:
    cylinders = turned(SHAPES[2], 30)
    cut = porosity_between(cylinders, 0.1, 0.02, 0.04)
    assert 0 < cut.error < 1e-3
    whole = bulk_porosity(cylinders, 0.1)
    filled = 30 * cylinders.shape.volume_m3 / (math.pi * 0.05**2 * top_of(cylinders))
    assert whole.value == pytest.approx(1 - filled, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
@pytest.mark.parametrize("fineness", [COARSE, FINE])
def test_triangles_keep_the_volume_and_close(shape: Shape, fineness: int, tmp_path: Path) -> None:
    surface = particle_surface(shape, fineness)
    assert volume_of(surface.points[surface.faces]) == pytest.approx(shape.volume_m3, rel=1e-12)
    edges = surface.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    there = {tuple(edge) for edge in edges.tolist()}
    assert len(there) == len(edges)
    assert all((b, a) in there for a, b in there)
    particles = turned(shape, 300)
    count = write_stl(tmp_path / "bed.stl", particles, fineness)
    corners = read_stl(tmp_path / "bed.stl")
    assert count == len(corners) == 300 * len(surface.faces)
    assert volume_of(corners) == pytest.approx(300 * shape.volume_m3, rel=1e-4)
    smaller = np.concatenate([*triangles(particles, fineness, shrink=0.01)])
    assert volume_of(smaller) == pytest.approx(300 * shape.volume_m3 * 0.99**3, rel=1e-9)
