"""Textures: the object's colours and nothing of what was behind it."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.threed.scene import RED, blob, paint
from usina.apps.threed.texture import cut_texture, encode_jpeg, spread, whole_texture

COVER = blob(768, 576)
GREEN = np.array([20.0, 230.0, 30.0])
PIXELS = paint(COVER, RED, GREEN)


@pytest.mark.parametrize("plain_back", [False, True])
@pytest.mark.parametrize("size", [256, 1024])
def test_no_background_is_left(plain_back: bool, size: int) -> None:
    texture = cut_texture(PIXELS, COVER, size, plain_back=plain_back)
    assert max(texture.pixels.shape) <= size
    assert np.abs(texture.pixels.astype(float) - RED).max() < 25


def test_points_land_on_their_own_pixels() -> None:
    columns = np.linspace(0, 255, 768)
    ramp = np.broadcast_to(columns[None, :, None], (576, 768, 3)).astype(np.uint8)
    texture = cut_texture(ramp, COVER, 4096, plain_back=False)
    points = np.array([[x, 288.0] for x in range(320, 450, 10)])
    place = texture.place(points, np.zeros(len(points), dtype=np.bool_))
    height, width = texture.pixels.shape[:2]
    shown = texture.pixels[
        (place[:, 1] * height).astype(int),
        np.clip(place[:, 0] * width, 0, width - 1).astype(int),
        0,
    ]
    assert shown == pytest.approx(points[:, 0] / 768 * 255, abs=2)


def test_a_plain_back_is_a_half_of_its_own() -> None:
    face = paint(blob(768, 576) * 0, RED, RED)
    face[250:330, 340:430] = (20, 20, 240)
    texture = cut_texture(face, COVER, 1024, plain_back=True)
    half = texture.pixels.shape[1] // 2
    blue = texture.pixels[..., 2] > 150
    assert blue[:, :half].any()
    assert not blue[:, half:].any()
    place = texture.place(np.array([[384.0, 288.0]] * 2), np.array([False, True]))
    assert place[0, 0] < 0.5 < place[1, 0]
    assert place[1, 0] - place[0, 0] == pytest.approx(0.5)


def test_spreading_keeps_what_is_known_and_joins_it_smoothly() -> None:
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[:, :8], pixels[:, -8:] = 40, 200
    known = np.zeros((64, 64), dtype=np.bool_)
    known[:, :8] = known[:, -8:] = True
    filled = spread(pixels, known)
    assert (filled[known] == pixels[known]).all()
    middle = filled[32, :, 0].astype(int)
    assert (np.diff(middle) >= -6).all()
    assert 90 < middle[32] < 150
    assert (spread(pixels, np.ones_like(known)) == pixels).all()


def test_a_whole_picture_has_a_plain_strip_below() -> None:
    texture, plain = whole_texture(PIXELS, (400, 300), 512)
    assert max(texture.pixels.shape) <= 512
    height, width = texture.pixels.shape[:2]
    row, column = int(plain[1] * height), int(plain[0] * width)
    strip = texture.pixels[row - 3 : row + 4, column]
    assert (strip == strip[0]).all()
    place = texture.place(np.array([[400.0, 300.0]]), np.zeros(1, dtype=np.bool_))
    assert place[0, 0] == 1
    assert place[0, 1] == pytest.approx((height - 16) / height)


def test_textures_are_jpegs_without_anything_else_in_them() -> None:
    data = encode_jpeg(PIXELS)
    image = Image.open(io.BytesIO(data))
    assert image.size == (768, 576)
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert encode_jpeg(PIXELS) == data
