"""Reliefs: what rises, how far, and that the plaque closes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.threed.scene import blob, disc, paint, real
from usina.apps.threed.intake import working_picture
from usina.apps.threed.mask import whole
from usina.apps.threed.mesh import is_watertight, measure, unit
from usina.apps.threed.option import ReliefOption
from usina.apps.threed.plaque import Frame, Plaque, build, corner_normals
from usina.apps.threed.relief import carve

OPTION = ReliefOption()
LIGHT, DARK = np.full(3, 230.0), np.full(3, 40.0)
SPOT = paint(disc(300, 200, 150, 100, 50), LIGHT, DARK)


def test_light_parts_rise_and_dark_ones_when_inverted() -> None:
    height = carve(SPOT, None, OPTION).height
    assert height[100, 150] > height[20, 20] + 0.02 * 300
    turned = carve(SPOT, None, replace(OPTION, invert=True)).height
    assert turned[100, 150] < turned[20, 20] - 0.02 * 300


def test_the_relief_is_as_high_and_thick_as_asked() -> None:
    option = replace(OPTION, depth=0.1, base=0.05, frame=0.0)
    height = carve(SPOT, None, option).height
    assert height.min() == pytest.approx(0.05 * 300, rel=0.02)
    assert height.max() == pytest.approx(0.15 * 300, rel=0.02)


def test_an_object_stands_out_of_flat_ground() -> None:
    shape = blob(300, 200)
    busy = paint(np.random.default_rng(0).random((200, 300)), LIGHT, DARK)
    option = replace(OPTION, frame=0.0)
    height = carve(busy, shape, option).height
    ground, body = height[shape < 0.02], height[shape > 0.98]
    assert np.quantile(ground, 0.99) < option.base * 300 + 0.1 * option.depth * 300
    assert np.median(body) > option.base * 300 + 0.4 * option.depth * 300


def test_a_framed_picture_meets_its_frame_at_one_level() -> None:
    picture, _ = real("chelsea.png")
    plaque = carve(working_picture(picture, whole(picture)), None, OPTION)
    height = plaque.height
    edge = np.concatenate([height[0], height[-1], height[:, 0], height[:, -1]])
    assert np.ptp(edge) < 1e-9
    assert plaque.frame is not None
    assert plaque.frame.height > edge[0]
    longest = max(plaque.extent) + 2 * plaque.frame.width
    assert plaque.frame.width == pytest.approx(OPTION.frame * longest)


@pytest.mark.parametrize("frame", [None, Frame(12, 20)])
@pytest.mark.parametrize("faces", [500, 5000, 40_000])
@pytest.mark.parametrize("size", [(90, 140), (300, 200), (33, 400)])
def test_plaques_close_whatever_their_size(
    frame: Frame | None, faces: int, size: tuple[int, int]
) -> None:
    rows, columns = np.indices(size)
    height = 10 + 3 * np.sin(rows / 9) * np.sin(columns / 7)
    if frame is not None:
        height[[0, -1]] = height[:, [0, -1]] = 10
    built = build(Plaque(height, frame), faces)
    measures = measure(built.mesh.points, built.mesh.faces)
    assert measures.watertight
    assert measures.faces <= 1.2 * faces + 30
    assert measures.bounds[0, 2] == 0
    margin = frame.width if frame else 0
    extent = measures.bounds[1] - measures.bounds[0]
    assert extent[:2] == pytest.approx([size[1] + 2 * margin, size[0] + 2 * margin])


def test_a_framed_plaque_is_a_block_less_its_hollow() -> None:
    """The hollow widens by the slope, 0.35 of the frame's width, on every side."""
    mesh = build(Plaque(np.full((100, 200), 6.0), Frame(10, 9)), 2000).mesh
    rise = np.linspace(0, 1, 1001)
    hollow = 3 * np.trapezoid((100 + 7 * rise) * (200 + 7 * rise), rise)
    volume = measure(mesh.points, mesh.faces).volume
    assert volume == pytest.approx(9 * 120 * 220 - hollow, rel=1e-4)


def test_front_normals_follow_the_fine_surface() -> None:
    rows, columns = np.indices((200, 300))
    plaque = Plaque(20 + 0.2 * columns + 0.1 * rows, None)
    built = build(plaque, 3000)
    normals = unit(corner_normals(plaque, built)[built.is_front()])
    assert normals.reshape(-1, 3) == pytest.approx(
        np.broadcast_to(unit(np.array([-0.2, 0.1, 1.0])), (normals.size // 3, 3)), abs=1e-6
    )
    assert is_watertight(built.mesh.faces)
