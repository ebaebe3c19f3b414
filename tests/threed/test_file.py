"""The files that are handed out: true to their formats, to the surface, and to the byte."""

import io
import zipfile

import numpy as np
import pytest
import trimesh
from PIL import Image

from tests.threed.body import PALETTE, coloured_cube, cube, read_glb
from usina.apps.threed.gltf import to_glb
from usina.apps.threed.mesh import measure
from usina.apps.threed.surface import Surface, dress
from usina.apps.threed.texture import encode_jpeg
from usina.apps.threed.wavefront import to_zip

CUBE = coloured_cube()
JPEG = encode_jpeg(CUBE.texture)


def test_the_cube_stands_on_the_ground_in_metres() -> None:
    assert CUBE.points.min(axis=0) == pytest.approx([-0.05, 0, -0.05])
    assert CUBE.points.max(axis=0) == pytest.approx([0.05, 0.1, 0.05])
    measures = measure(CUBE.points, CUBE.faces)
    assert (measures.vertices, measures.faces, measures.watertight) == (24, 12, True)
    assert measures.volume == pytest.approx(1e-3)


def test_a_glb_says_what_the_surface_is() -> None:
    glb = read_glb(to_glb(CUBE, JPEG, "cube"))
    assert glb.positions == pytest.approx(CUBE.points)
    assert glb.uv == pytest.approx(CUBE.uv, abs=1e-6)
    assert (glb.faces == CUBE.faces).all()
    assert np.linalg.norm(glb.normals, axis=1) == pytest.approx(1, abs=1e-5)
    assert glb.image == JPEG
    material = glb.document["materials"][0]["pbrMetallicRoughness"]
    assert (material["metallicFactor"], material["roughnessFactor"]) == (0, 0.8)
    assert glb.document["images"][0]["mimeType"] == "image/jpeg"
    assert "extensionsRequired" not in glb.document


def test_a_foreign_reader_sees_the_same() -> None:
    scene = trimesh.load_scene(io.BytesIO(to_glb(CUBE, JPEG, "cube")), file_type="glb")
    (mesh,) = scene.geometry.values()
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(1e-3)
    assert mesh.visual.material.baseColorTexture.size == (24, 4)


def test_many_points_get_wide_indices() -> None:
    points = np.random.default_rng(0).random((70_000, 3))
    faces = np.arange(69_999).reshape(-1, 3)
    wide = Surface(points, points, points[:, :2], faces, CUBE.texture)
    glb = read_glb(to_glb(wide, JPEG, "wide"))
    assert glb.document["accessors"][3]["componentType"] == 5125
    assert glb.faces.max() == 69_998


def test_a_zip_holds_an_object_with_its_material() -> None:
    data = to_zip(CUBE, JPEG)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert archive.namelist() == ["mesh.obj", "mesh.mtl", "texture.jpg"]
    assert archive.read("texture.jpg") == JPEG
    assert b"map_Kd texture.jpg" in archive.read("mesh.mtl")
    lines = [line.split() for line in archive.read("mesh.obj").decode().splitlines()]
    rows = {word: np.array([line[1:] for line in lines if line[0] == word]) for word in "vf"}
    assert rows["v"].astype(float) == pytest.approx(1000 * CUBE.points, abs=1e-4)
    corners = np.array([[corner.split("/") for corner in face] for face in rows["f"]]).astype(int)
    assert (corners[..., 0] - 1 == CUBE.faces).all()
    assert (corners[..., 1] == corners[..., 0]).all()
    flipped = np.array([line[1:] for line in lines if line[0] == "vt"]).astype(float)
    assert flipped[:, 1] == pytest.approx(1 - CUBE.uv[:, 1])


def test_files_are_the_same_to_the_byte() -> None:
    again = coloured_cube()
    assert to_glb(again, JPEG, "cube") == to_glb(CUBE, JPEG, "cube")
    assert to_zip(again, JPEG) == to_zip(CUBE, JPEG)


def test_corners_that_agree_are_one_point() -> None:
    mesh = cube(3)
    smooth = mesh.points[mesh.faces] - 1.5
    uv = np.zeros((12, 3, 2))
    surface = dress(mesh, smooth, uv, CUBE.texture, 2.0)
    assert len(surface.points) == 8
    assert np.ptp(surface.points, axis=0) == pytest.approx(2)


def test_the_palette_survives_its_encoding() -> None:
    image = np.asarray(Image.open(io.BytesIO(JPEG)))
    assert np.abs(image[2, 2::4].astype(int) - PALETTE).max() < 12
