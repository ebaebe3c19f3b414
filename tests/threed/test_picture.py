"""Hostile, lying and strange pictures: refused by a typed reason, or decoded as meant."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.images import OddImage, bad_images, disc, encode, odd_images
from tests.threed.scene import saved
from usina.apps.threed.mask import find_mask
from usina.imaging.header import Header, read_header
from usina.imaging.picture import open_picture
from usina.kernel.files.sniff import sniff
from usina_runner import InvalidInput

ROOT = Path(__file__).parents[2]
HEAD_BYTES = 4096
SECONDS, BYTES = 20.0, 300 << 20
ODD = {image.name: image for image in odd_images()}


def reason(path: Path, **options: int) -> str | None:
    with pytest.raises(InvalidInput) as refusal:
        open_picture(path, **options)
    assert refusal.value.code == "invalid_input"
    return refusal.value.reason


def test_every_bad_picture_is_refused_for_its_reason_in_little_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.threed.hostile", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    expected = {bad.name: bad.expected_reason for bad in bad_images() if bad.kind == "decode"}
    assert {name: outcome for name, outcome, _, _ in told} == expected
    assert {name: seconds for name, _, seconds, _ in told if seconds > SECONDS} == {}
    assert {name: taken for name, _, _, taken in told if taken > BYTES} == {}


def test_the_platform_takes_the_bytes_for_what_the_corpus_says() -> None:
    for bad in bad_images():
        if bad.data:
            found = sniff(bad.data[:HEAD_BYTES], len(bad.data))
            assert (bad.name, found) == (bad.name, bad.media_type_sniffed_as)
    for odd in ODD.values():
        assert (odd.name, sniff(odd.data[:HEAD_BYTES], len(odd.data))) == (odd.name, odd.media_type)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_strange_pictures_show_their_disc(odd: OddImage, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(odd.data)
    picture = open_picture(path)
    assert sorted(picture.rgb.shape[:2]) == [72, 96]
    assert picture.rgb.dtype == np.uint8
    middle = picture.rgb[picture.rgb.shape[0] // 2, picture.rgb.shape[1] // 2]
    assert middle.mean() < 120
    assert find_mask(picture).fraction == pytest.approx(0.2886, abs=0.02)


@pytest.mark.parametrize(("name", "size"), [("png_rotated", (72, 96)), ("jpeg_rotated", (72, 96))])
def test_pictures_are_turned_upright(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(ODD[name].data)
    picture = open_picture(path)
    assert (picture.full_width, picture.full_height) == size
    assert picture.rgb.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_shows_the_same_corner(orientation: int, tmp_path: Path) -> None:
    upright = np.full((40, 60, 3), 255, dtype=np.uint8)
    upright[:12, :20] = (200, 0, 0)
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture.png"
    Image.fromarray(np.ascontiguousarray(turned)).save(path, exif=exif)
    assert (open_picture(path).rgb == upright).all()


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65_535, 64 * 64).reshape(64, 64).astype(np.uint16)
    path = tmp_path / "ramp.png"
    Image.fromarray(ramp).save(path)
    assert np.abs(open_picture(path).rgb[..., 0] - ramp / 257.0).max() < 1.5


def test_transparency_is_kept_and_full_opacity_is_none(tmp_path: Path) -> None:
    path = tmp_path / "masked.png"
    path.write_bytes(ODD["png_alpha_mask"].data)
    alpha = open_picture(path).alpha
    assert alpha is not None
    assert set(np.unique(alpha)) == {0, 255}
    disc().convert("RGBA").save(path)
    assert open_picture(path).alpha is None


def test_animations_are_told_and_small_ones_too(tmp_path: Path) -> None:
    path = tmp_path / "animated"
    path.write_bytes(ODD["webp_animated"].data)
    assert [notice.code for notice in open_picture(path).notices] == [
        "image_animated",
        "image_small",
    ]
    path.write_bytes(ODD["jpeg_of_two_pictures"].data)
    assert [notice.code for notice in open_picture(path).notices] == ["image_small"]


def test_the_limit_is_exact_and_comes_from_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(np.zeros((50, 80, 3), dtype=np.uint8), tmp_path / "black.png")
    monkeypatch.setenv("USINA_MAX_IMAGE_PIXELS", "4000")
    assert open_picture(path).full_width == 80
    monkeypatch.setenv("USINA_MAX_IMAGE_PIXELS", "3999")
    assert reason(path) == "image_too_large"
    monkeypatch.delenv("USINA_MAX_IMAGE_PIXELS")
    assert open_picture(path).full_height == 50
    assert reason(path, limit=3999) == "image_too_large"


def test_a_file_far_larger_than_its_pixels_is_refused(tmp_path: Path) -> None:
    path = saved(np.zeros((20, 20, 3), dtype=np.uint8), tmp_path / "padded.png")
    with path.open("ab") as file:
        file.write(bytes(8000))
    assert reason(path, limit=400) == "image_too_large"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK"])
def test_large_pictures_are_held_small(form: str, mode: str, tmp_path: Path) -> None:
    if (form, mode) in {("PNG", "CMYK"), ("WEBP", "CMYK"), ("JPEG", "RGBA")}:
        mode = "RGB"
    path = tmp_path / "large"
    path.write_bytes(encode(disc(1500, 900).convert(mode), form))
    picture = open_picture(path, side=400)
    assert max(picture.rgb.shape) <= 800
    assert (picture.full_width, picture.full_height) == (1500, 900)
    assert picture.rgb.shape[1] / picture.rgb.shape[0] == pytest.approx(1500 / 900, rel=0.01)
    small = disc(1500, 900).convert(mode).convert("RGB").resize(picture.rgb.shape[1::-1])
    assert np.abs(picture.rgb.astype(float) - np.asarray(small)).mean() < 6


def test_headers_are_read_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    for form, lossless in (("PNG", False), ("JPEG", False), ("WEBP", False), ("WEBP", True)):
        path.write_bytes(encode(disc(), form, lossless=lossless))
        assert read_header(path) == Header(form, 96, 72)
    path.write_bytes(encode(disc(), "WEBP", exif=b"Exif\0\0II*\0"))
    assert read_header(path) == Header("WEBP", 96, 72)
    path.write_bytes(encode(disc(), "JPEG", progressive=True))
    header = read_header(path)
    assert header is not None
    assert header.scans > 3
    file = io.BytesIO()
    disc().save(file, "GIF")
    path.write_bytes(file.getvalue())
    assert read_header(path) is None
