"""The rasteriser against views that can be worked out by hand, and the picture of them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.threed.body import coloured_cube, cube
from usina.apps.threed.backdrop import ground_under
from usina.apps.threed.camera import frame
from usina.apps.threed.light import depth_map, disc, sky_around
from usina.apps.threed.outline import cover
from usina.apps.threed.preview import HEIGHT, WIDTH, draw_preview
from usina.apps.threed.raster import rasterise
from usina.apps.threed.shade import to_linear, to_srgb
from usina.apps.threed.studio import FINE, QUICK, Care, set_up
from usina.apps.threed.turntable import FRAMES, SIDE, draw_turntable, encode_webp
from usina.imaging.array import Field

TRIANGLE = np.array([[0, 1, 2]])


def screen(*corners: tuple[float, float, float]) -> Field:
    return np.array(corners, dtype=np.float64)


def test_a_triangle_covers_its_pixel_centres() -> None:
    drawn = rasterise(screen((0, 8, 1), (8, 8, 1), (0, 0, 1)), TRIANGLE, 10, 10)
    rows, columns = np.divmod(drawn.pixel, 10)
    assert len(drawn.pixel) == 36
    assert (columns <= rows).all()
    weights = drawn.fragments().weights
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights.min() >= -1e-4


def test_backs_are_not_drawn_and_neighbours_leave_no_gap() -> None:
    corners = screen((0, 0, 1), (0, 16, 1), (16, 16, 1), (16, 0, 1))
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    assert len(rasterise(corners, faces, 16, 16).pixel) == 256
    assert len(rasterise(corners, faces[:, ::-1], 16, 16).pixel) == 0


def test_the_nearest_is_seen_whatever_the_order() -> None:
    near = screen((0, 16, 3), (16, 16, 3), (0, 0, 3))
    far = screen((0, 16, 2), (16, 16, 2), (0, 0, 2))
    for order in ((near, far), (far, near)):
        drawn = rasterise(np.concatenate(order), np.array([[0, 1, 2], [3, 4, 5]]), 16, 16)
        assert drawn.nearness == pytest.approx(3)


def test_what_reaches_over_the_edge_is_clipped() -> None:
    drawn = rasterise(screen((-50, 60, 1), (60, 60, 1), (-50, -50, 1)), TRIANGLE, 8, 8)
    assert len(drawn.pixel) == 36


def test_values_are_mixed_in_perspective() -> None:
    """A floor from distance 1 to distance 3: its middle, at 2, is seen at three quarters of the
    way in one over the distance, not at a half."""
    corners = screen((0, 64, 1), (64, 64, 1), (64, 0, 1 / 3), (0, 0, 1 / 3))
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    seen = rasterise(corners, faces, 64, 64).fragments()
    along = seen.mix(np.array([[1.0], [1.0], [3.0], [3.0]]), faces)[:, 0]
    rows = seen.pixel // 64
    height = (64 - (rows + 0.5)) / 64
    assert along == pytest.approx(1 / (1 - height * 2 / 3), rel=1e-4)


def test_a_camera_frames_what_it_looks_at() -> None:
    points = cube(0.3).points
    for yaw, pitch in ((0, 0), (-30, 12), (148, 14), (30, 58)):
        camera = frame(points, yaw, pitch, 400, 300, 0.8)
        flat = camera.project(points)[:, :2]
        low, high = flat.min(axis=0), flat.max(axis=0)
        assert (low + high) / 2 == pytest.approx([200, 150], abs=1e-6)
        assert max((high - low) / [400, 300]) == pytest.approx(0.8)
        middle = camera.rays().reshape(300, 400, 3)[150, 200]
        assert middle @ camera.axes[2] < -0.99


def test_the_cube_shows_the_faces_that_it_should() -> None:
    mesh = cube()
    seen_from = {(0.0, 0.0): {10, 11}, (90.0, 0.0): {2, 3}, (180.0, 0.0): {8, 9}}
    for (yaw, pitch), expected in seen_from.items():
        camera = frame(mesh.points, yaw, pitch, 200, 200, 0.8)
        drawn = rasterise(camera.project(mesh.points), mesh.faces, 200, 200)
        assert set(drawn.fragments().face.tolist()) == expected
        assert len(drawn.pixel) == pytest.approx(160**2, rel=0.02)
    camera = frame(mesh.points, 30, 40, 200, 200, 0.8)
    drawn = rasterise(camera.project(mesh.points), mesh.faces, 200, 200)
    assert set(drawn.fragments().face.tolist()) == {2, 3, 6, 7, 10, 11}


def test_depth_maps_know_what_is_in_the_light() -> None:
    mesh = cube()
    lamp = depth_map(mesh.points, mesh.faces, np.array([0.0, 0.8, 0.6]), 200)
    on_top, below, behind = np.array([[0.5, 1, 0.5], [0.5, 0, 0.5], [0.5, 0.2, -0.05]])
    one = np.zeros((1, 2))
    assert lamp.reaches(np.array([on_top, below, behind]), 0.02, one).tolist() == [1, 0, 0]
    assert lamp.reaches(np.array([[5.0, 5.0, 5.0]]), 0.0, disc(8, 2)).tolist() == [1]


def test_the_sky_is_open_above_and_closed_in_a_corner() -> None:
    mesh = cube()
    sky = sky_around(mesh.points, mesh.faces)
    at = np.array([[0.5, 1, 0.5], [1.001, 0.05, 0.5], [9.0, 0.0, 9.0]])
    normals = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]], dtype=np.float64)
    above, corner, away = sky.light(at, normals, lift=0.01)
    assert above == pytest.approx(1)
    assert away == pytest.approx(1)
    assert corner < 0.7


def test_a_preview_has_four_views_of_the_cube() -> None:
    told: list[float] = []
    picture = draw_preview(set_up(coloured_cube()), between=told.append)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert told == sorted(told)
    assert len(told) == 4
    front, side, behind = (picture[row, 1000].astype(int) for row in (148, 450, 752))
    assert front[0] > 100 < front[2]
    assert front[1] < 60
    assert side[1] > 2 * side[0]
    assert behind[1] > 2 * behind[0] < behind[2]
    assert (picture[2, 2] > 180).all()
    assert (picture[450, 797] == 255).all()


def test_what_is_wide_is_shown_over_the_whole_width() -> None:
    """Its small views lie below; a cube has them beside it."""
    cube_, wide = coloured_cube(), coloured_cube()
    wide = replace(wide, points=wide.points * [4, 1, 1])
    white = {
        name: (draw_preview(set_up(surface)) == 255).all(axis=2)
        for name, surface in (("cube", cube_), ("wide", wide))
    }
    assert white["wide"][594:600].all()
    assert not white["wide"][:590, 797].any()
    assert white["cube"][:, 794:800].all()


def test_a_preview_can_be_stopped_between_views() -> None:
    class Stop(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0:
            raise Stop

    with pytest.raises(Stop):
        draw_preview(set_up(coloured_cube()), between=stop)


def test_light_and_srgb_are_each_others_inverse_below_the_highlights() -> None:
    levels = np.arange(0, 200, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    assert to_srgb(to_linear(levels)) * 255 == pytest.approx(levels, abs=0.01)


def test_outlines_are_smooth_and_not_a_pixel_off() -> None:
    """A cube seen straight from the front covers a square whose area is known; a pixel that its
    edge crosses shows both."""
    mesh = cube()
    camera = frame(mesh.points, 0, 0, 100, 100, 0.705)
    screen = camera.project(mesh.points)
    drawn = rasterise(screen, mesh.faces, 100, 100)
    seen = np.zeros(100 * 100, dtype=np.float32)
    seen[drawn.pixel] = 1
    share = cover(screen, mesh.faces, seen.reshape(100, 100))
    assert share.sum() == pytest.approx(70.5**2, rel=0.01)
    assert share[50, 50] == 1
    assert share[5, 5] == 0
    assert 0.1 < share[50, 14] < 0.9


def test_the_table_is_darkest_right_below() -> None:
    mesh = cube()
    ground = ground_under(mesh)
    middle, rim = ground.light[160, 160, 0], ground.light[0, 0, 0]
    beside = ground.light[160, 160 + 85, 0]
    assert middle < 0.2 < beside < 0.9 < rim
    assert np.abs(np.diff(ground.light[..., 0], axis=0)).max() < 0.2


@pytest.mark.parametrize("care", [FINE, QUICK])
def test_a_photograph_is_the_same_every_time(care: Care) -> None:
    studio = set_up(coloured_cube())
    camera = frame(studio.surface.points, 30, 20, 160, 120, 0.8)
    picture = studio.photograph(camera, care)
    assert picture.shape == (120, 160, 3)
    assert (studio.photograph(camera, care) == picture).all()


def test_a_turntable_shows_every_side_once() -> None:
    told: list[float] = []
    frames = draw_turntable(set_up(coloured_cube()), 2, between=told.append)
    assert told == sorted(told)
    assert (len(frames), told[-1]) == (FRAMES, 1)
    colours = [frame[SIDE // 2, SIDE // 2].astype(int) for frame in frames]
    front, right, behind, left = (
        colours[round((30 + turn) / 15) % 24] for turn in (0, 90, 180, 270)
    )
    assert front[1] < front[0] > 100 < front[2]
    assert right[1] > 2 * max(right[0], right[2])
    assert behind[0] < behind[1] > 100 < behind[2]
    assert left[0] > 2 * max(left[1], left[2])


def test_an_object_stays_where_it_is_while_it_turns() -> None:
    frames = draw_turntable(set_up(coloured_cube()), 1)
    tops = [int((frame[:, SIDE // 2].astype(int).std(axis=1) > 30).argmax()) for frame in frames]
    assert np.ptp(tops) < 0.12 * SIDE


def test_a_webp_loops_and_is_small() -> None:
    frames = draw_turntable(set_up(coloured_cube()), 2)
    data = encode_webp(frames)
    assert data == encode_webp(frames)
    assert len(data) < 600_000
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "WEBP"
        assert (image.n_frames, image.size) == (FRAMES, (SIDE, SIDE))
        assert image.info["loop"] == 0


def test_a_turntable_can_be_stopped() -> None:
    class Stop(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.1:
            raise Stop

    with pytest.raises(Stop):
        draw_turntable(set_up(coloured_cube()), 2, between=stop)
