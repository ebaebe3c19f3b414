"""Printability against bodies whose every measure is known."""

import io

import numpy as np
import pytest
import trimesh
from trimesh.transformations import rotation_matrix, translation_matrix

from tests.threed.body import coloured_cube
from usina.apps.threed.mesh import Mesh
from usina.apps.threed.printing.judgement import judge
from usina.apps.threed.printing.pose import on_bed
from usina.apps.threed.printing.ray import first_hits
from usina.apps.threed.printing.stl import to_stl
from usina.imaging.array import Field


def body(*parts: trimesh.Trimesh) -> Mesh:
    """Foreign meshes as one, put on the bed."""
    whole = trimesh.util.concatenate(list(parts))
    points = np.asarray(whole.vertices, dtype=np.float64)
    return Mesh(points - [0, 0, points[:, 2].min()], np.asarray(whole.faces, dtype=np.int64))


def box(width: float, depth: float, height: float, *at: float) -> trimesh.Trimesh:
    """A box whose lowest corner is ``at``."""
    middle = np.array(at or (0, 0, 0)) + np.array([width, depth, height]) / 2
    return trimesh.creation.box((width, depth, height), translation_matrix(middle))


def ball(radius: float, *, hollow: bool = False) -> trimesh.Trimesh:
    sphere = trimesh.creation.icosphere(4, radius)
    if hollow:
        sphere.invert()
    return sphere


def codes(mesh: Mesh) -> list[str]:
    return [warning["code"] for warning in judge(mesh).as_json()["warnings"]]


def turned(degrees: float) -> Field:
    return rotation_matrix(np.radians(degrees), [0, 1, 0])


@pytest.mark.parametrize("degrees", [0, 17, 45])
def test_a_plate_is_as_thick_as_it_is_however_it_lies(degrees: float) -> None:
    plate = box(100, 80, 1.5).apply_transform(turned(degrees))
    told = judge(body(plate)).as_json()
    assert told["min_wall_mm"] == pytest.approx(1.5, abs=1e-3)
    assert told["min_gap_mm"] is None
    assert told["smallest_feature_mm"] == told["min_wall_mm"]
    assert told["volume_ml"] == pytest.approx(12)
    assert (told["watertight"], told["shells"], told["cavities"]) == (True, 1, 0)
    assert told["thin_share"] == 0


def test_a_flat_plate_can_be_printed_as_it_is() -> None:
    told = judge(body(box(100, 80, 1.5))).as_json()
    assert told["size_mm"] == [100, 80, 1.5]
    assert told["bed_contact_mm2"] == pytest.approx(8000)
    assert told["overhang_share"] == 0
    assert told["fits_printer"] is True
    assert told["warnings"] == []


def test_a_hollow_sphere_is_as_thick_as_its_shell() -> None:
    told = judge(body(ball(50), ball(48, hollow=True))).as_json()
    assert told["min_wall_mm"] == pytest.approx(2, abs=0.01)
    assert told["volume_ml"] == pytest.approx(4 / 3 * np.pi * (125 - 110.592), rel=0.01)
    assert (told["shells"], told["cavities"]) == (2, 1)
    assert "print_cavity" in codes(body(ball(50), ball(48, hollow=True)))


def test_a_sphere_overhangs_below_its_forty_fifth_degree() -> None:
    """The cap below an angle of 45 degrees has the share (1 - sin 45) / 2 of a sphere."""
    judged = judge(body(ball(50)))
    assert judged.overhang == pytest.approx((1 - np.sqrt(0.5)) / 2, abs=0.005)
    assert judge(body(ball(50)), overhang_degrees=60).overhang == pytest.approx(
        (1 - np.sqrt(0.75)) / 2, abs=0.005
    )
    assert judged.walls.thickness.min() == pytest.approx(100, rel=0.005)


def test_what_lies_on_the_bed_is_no_overhang_and_a_table_top_is() -> None:
    leg, top = box(10, 10, 30, 15, 15, 0), box(40, 40, 5, 0, 0, 29.99)
    table = judge(body(leg, top))
    under, whole = 40 * 40, 2 * 40 * 40 + 4 * 40 * 5 + 2 * 10 * 10 + 4 * 10 * 30
    assert table.overhang == pytest.approx(under / whole, rel=0.01)
    assert table.contact_mm2 == pytest.approx(100)
    assert "print_overhangs" in codes(body(leg, top))


def test_a_slope_of_less_than_45_degrees_is_no_overhang() -> None:
    upside_down = trimesh.creation.cone(20, 25, transform=rotation_matrix(np.pi, [1, 0, 0]))
    assert judge(body(upside_down)).overhang == pytest.approx(0.0, abs=0.01)
    wide = trimesh.creation.cone(26, 20, transform=rotation_matrix(np.pi, [1, 0, 0]))
    assert judge(body(wide)).overhang > 0.3


def test_a_narrow_gap_and_a_thin_pin_are_features() -> None:
    pair = body(box(10, 10, 10), box(10, 10, 10, 10.5, 0, 0))
    told = judge(pair).as_json()
    assert (told["min_gap_mm"], told["smallest_feature_mm"]) == (0.5, 0.5)
    assert "print_pieces" in codes(pair)
    assert judge(pair, objects=2).as_json()["warnings"] == []
    pin = trimesh.creation.cylinder(0.3, 12, sections=32)
    told = judge(body(box(20, 20, 4, -10, -10, -8), pin)).as_json()
    assert told["min_wall_mm"] == pytest.approx(0.6, abs=0.01)
    assert "print_thin_walls" in codes(body(box(20, 20, 4, -10, -10, -8), pin))


def test_a_blade_is_thin_at_its_edge_and_a_box_is_not() -> None:
    points = np.array([[0, 0, 0], [5, 0, 0], [2.5, 0, 20], [0, 30, 0], [5, 30, 0], [2.5, 30, 20.0]])
    blade = body(trimesh.convex.convex_hull(points))
    assert judge(blade).walls.thickness.min() < 0.5
    assert judge(body(box(5, 30, 20))).walls.thickness.min() == pytest.approx(5)


def test_what_is_too_large_is_told_with_the_scale_that_fits() -> None:
    long = body(box(200, 440, 10))
    warnings = judge(long).as_json()["warnings"]
    assert [warning["code"] for warning in warnings] == ["print_too_large"]
    assert "50 %" in warnings[0]["message"]
    assert judge(body(box(219, 219, 249))).scale_to_fit >= 1


def test_a_judgement_can_be_stopped() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        judge(body(ball(50)), between=stop)


def test_an_open_surface_is_told() -> None:
    whole = body(box(10, 10, 10))
    assert "print_open" in codes(Mesh(whole.points, whole.faces[1:]))


def test_rays_meet_what_is_nearest() -> None:
    mesh = body(box(1, 1, 1), box(1, 1, 1, 0, 0, 3))
    origins = np.array([[0.3, 0.4, 9], [0.3, 0.4, -2], [0.3, 0.4, 1], [5, 5, 5], [0.3, 0.4, 0.5]])
    directions = np.array([[0, 0, -1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0.0]])
    far, face = first_hits(mesh, origins, directions)
    assert far == pytest.approx([5, 2, 2, np.inf, 0.7])
    assert (face >= 0).tolist() == [True, True, True, False, True]


def test_an_stl_is_the_body_in_millimetres_on_its_bed() -> None:
    cube = coloured_cube()
    data = to_stl(on_bed(cube, "standing"))
    assert len(data) == 84 + 12 * 50
    read = trimesh.load_mesh(io.BytesIO(data), file_type="stl")
    assert read.is_watertight
    assert read.volume == pytest.approx(1e6)
    assert read.bounds == pytest.approx(np.array([[-50, -50, 0], [50, 50, 100]]))
    assert to_stl(on_bed(cube, "standing")) == data


def test_the_front_looks_up_when_it_lies_and_forwards_when_it_stands() -> None:
    """The cube's front is the last of its sides."""
    cube = coloured_cube()
    marked = type(cube)(cube.points * [1, 2, 3], cube.normals, cube.uv, cube.faces, cube.texture)
    lying, standing = on_bed(marked, "lying"), on_bed(marked, "standing")
    assert lying.points[lying.faces[10:]][..., 2] == pytest.approx(300)
    assert standing.points[standing.faces[10:]][..., 1] == pytest.approx(-150)
