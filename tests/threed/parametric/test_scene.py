"""Scenes and their files: apart from each other, in metres, with their finishes, to the byte."""

import io
import zipfile
from itertools import combinations

import numpy as np
import pytest
import trimesh

from tests.threed.body import read_painted_glb
from usina.apps.threed.gltf import to_painted_glb
from usina.apps.threed.mesh import measure
from usina.apps.threed.painted import Painted
from usina.apps.threed.parametric.order import take_order
from usina.apps.threed.parametric.scene import MOST_FACES, compose
from usina.apps.threed.parametric.sign import text_sign
from usina.apps.threed.preview import draw_preview
from usina.apps.threed.studio import set_up
from usina.apps.threed.wavefront import to_painted_zip
from usina_runner import InvalidInput


def scene(prompt: str, seed: int = 0) -> Painted:
    bodies = [body for order in take_order(prompt) for body in order.make(seed).bodies]
    return compose(bodies).painted


def pieces(painted: Painted) -> list[trimesh.Trimesh]:
    points, place = np.unique(painted.points, axis=0, return_inverse=True)
    mesh = trimesh.Trimesh(points, place.ravel()[painted.faces], process=False)
    return list(mesh.split(only_watertight=False))


@pytest.mark.parametrize(
    ("prompt", "count"), [("3 red chairs", 3), ("7 mugs", 7), ("2 balls, 3 cubes and a cone", 6)]
)
def test_objects_stand_apart_on_the_ground(prompt: str, count: int) -> None:
    boxes = [piece.bounds for piece in pieces(scene(prompt))]
    assert len(boxes) == count
    assert [low[1] for low, _ in boxes] == pytest.approx([0] * count, abs=1e-7)
    for (low, high), (other_low, other_high) in combinations(boxes, 2):
        gap = np.maximum(other_low - high, low - other_high)
        assert gap.max() > 0.005


def test_a_scene_of_too_many_triangles_is_coarser_and_says_so() -> None:
    bodies = [body for order in take_order("20 bottles") for body in order.make(0).bodies]
    made = compose(bodies)
    assert len(made.painted.faces) <= MOST_FACES
    assert measure(made.painted.points, made.painted.faces).watertight
    (notice,) = made.notices
    assert notice.code == "scene_coarser"
    assert "below 0.062 mm" in notice.message
    assert np.ptp(made.painted.points[:, 1]) == pytest.approx(0.309, abs=1e-4)


def test_a_scene_that_can_not_be_made_coarse_enough_is_refused() -> None:
    bodies = [body for order in take_order("20 bearings") for body in order.make(0).bodies]
    with pytest.raises(InvalidInput) as refused:
        compose(bodies)
    assert refused.value.reason == "scene_too_fine"
    fits = int(refused.value.message.split()[-1].rstrip("."))
    assert 1 < fits < 20
    assert len(compose(bodies[:fits]).painted.faces) <= MOST_FACES


def test_a_scene_can_be_stopped_between_its_bodies() -> None:
    class Stop(Exception):
        pass

    asked: list[int] = []

    def stop() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Stop

    bodies = [body for order in take_order("mug, cup, 9 trees") for body in order.make(0).bodies]
    with pytest.raises(Stop):
        compose(bodies, between=stop)
    assert len(asked) == 3


def test_things_that_are_one_hang_together() -> None:
    """The lamp's shade on its spokes, the bottle's collar on its neck; and all of a bearing is
    there: two rings, a cage, and its balls."""
    assert len(pieces(scene("lamp"))) == 1
    assert [piece.volume > 0 for piece in pieces(scene("bottle"))].count(True) == 1
    assert len(pieces(scene("bearing"))) == 2 + 1 + 8


def test_a_second_opinion_on_the_solid() -> None:
    for prompt in ("mug", "gear", "M8x40 bolt", "snowman", "box with lid"):
        painted = scene(prompt)
        for piece in pieces(painted):
            assert piece.is_watertight
            assert piece.is_winding_consistent
            assert piece.volume > 0


def test_the_front_looks_towards_z_and_up_is_y() -> None:
    (sign,) = take_order('sign "E" 10 cm tall')
    painted = compose(sign.make(0).bodies).painted
    letters = painted.points[np.unique(painted.of_finish(1))]
    assert letters[:, 2].max() == painted.points[:, 2].max()
    assert np.ptp(painted.points[:, 1]) == pytest.approx(0.1)
    assert len(text_sign("E")) == 2


def test_a_glb_is_true_to_the_scene() -> None:
    painted = scene("red metal mug 12 cm tall and glass vase")
    glb = read_painted_glb(to_painted_glb(painted, "model"))
    materials = glb.document["materials"]
    assert [material["name"] for material in materials] == ["red steel", "glass"]
    red = materials[0]["pbrMetallicRoughness"]
    assert red["baseColorFactor"] == pytest.approx([0.604, 0.0232, 0.0252, 1], abs=1e-3)
    assert (red["metallicFactor"], red["roughnessFactor"]) == (1.0, 0.32)
    assert materials[1]["alphaMode"] == "BLEND"
    assert glb.positions == pytest.approx(painted.points, abs=1e-9)
    assert sum(len(faces) for faces in glb.faces) == len(painted.faces)
    assert measure(glb.positions, np.concatenate(glb.faces)).watertight
    mug = glb.positions[np.unique(glb.faces[0])]
    assert np.ptp(mug[:, 1]) == pytest.approx(0.12, rel=1e-5)


def test_an_obj_is_true_to_the_scene() -> None:
    painted = scene("snowman")
    with zipfile.ZipFile(io.BytesIO(to_painted_zip(painted))) as archive:
        assert archive.namelist() == ["mesh.obj", "mesh.mtl"]
        text, materials = (archive.read(name).decode() for name in archive.namelist())
    points = np.array([line.split()[1:] for line in text.splitlines() if line.startswith("v ")])
    assert text.startswith("# lengths in millimetres")
    assert points.astype(float) == pytest.approx(1000 * painted.points, abs=1e-5)
    used = [line.split()[1] for line in text.splitlines() if line.startswith("usemtl")]
    made = [line.split()[1] for line in materials.splitlines() if line.startswith("newmtl")]
    assert used == made == [finish.name.replace(" ", "_") for finish in painted.finishes]
    assert text.count("\nf ") == len(painted.faces)


def test_chance_obeys_the_seed_and_exact_things_do_not_care() -> None:
    def glb(prompt: str, seed: int) -> bytes:
        return to_painted_glb(scene(prompt, seed), "model")

    assert glb("tree and pine", 1) == glb("tree and pine", 1)
    assert glb("tree", 1) != glb("tree", 2)
    assert glb("gear", 1) == glb("gear", 2)
    assert glb("3 blue mugs and a bolt", 5) == glb("três canecas azuis e um parafuso", 6)
    first, second = take_order("2 trees")[0].make(4).bodies
    assert first[0].solid.volume() != second[0].solid.volume()


def test_a_scene_can_be_drawn() -> None:
    """Red where the ball is, and the backdrop around it."""
    painted = scene("red ball")
    drawn = draw_preview(set_up(painted.with_palette()))
    red, green, blue = drawn[450, 397].astype(int)
    assert red > 2 * max(green, blue)
    assert np.ptp(drawn[20, 20].astype(int)) < 20
    assert scene("plate").is_flat()
    assert not painted.is_flat()
