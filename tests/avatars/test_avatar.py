"""From a photo to an avatar: every style, what is told of it, and what is never in it."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFilter

from tests.avatars.program import FACE, astronaut, avatar, codes, manifest, photo, run
from tests.threed.program import Channel
from usina.apps.avatars.style.catalogue import STYLES
from usina_runner import Cancelled

SECRET = b"41.40338, 2.17403"


def test_the_manifest_offers_the_styles_that_there_are() -> None:
    assert manifest().params["style"]["enum"] == list(STYLES)
    assert len(STYLES) >= 8


def test_an_avatar_comes_as_png_and_webp_with_its_face_told(tmp_path: Path) -> None:
    report = run(tmp_path, photo())

    assert report["face"] == pytest.approx(FACE, abs=8)
    assert report["face_confidence"] > 0.9
    assert report["background"] == "cut"
    assert report["warnings"] == []
    assert {"detect", "align", "matte", "style", "write", "total"} <= report["seconds"].keys()
    png, webp = avatar(tmp_path), avatar(tmp_path, "avatar.webp")
    assert png.shape == webp.shape == (512, 512, 3)
    assert np.abs(png.astype(int) - webp).mean() < 6


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_another_picture_of_the_same_person(style: str, tmp_path: Path) -> None:
    run(tmp_path / "one", photo(), style=style)
    run(tmp_path / "again", photo(), style=style)
    run(tmp_path / "large", photo(), style=style, size=1024)

    one, large = avatar(tmp_path / "one"), avatar(tmp_path / "large")
    assert (one == avatar(tmp_path / "again")).all()
    assert large.shape == (1024, 1024, 3)
    small = np.asarray(Image.fromarray(large).resize((512, 512), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - one).mean() < 22  # alike at both sizes
    assert one.std() > 20  # nothing flat
    face = one[180:330, 170:340]
    assert face.std() > 15  # the face is not washed out


def test_styles_differ_from_each_other(tmp_path: Path) -> None:
    seen = []
    for style in STYLES:
        run(tmp_path / style, photo(), style=style)
        seen.append(avatar(tmp_path / style).astype(int))
    gaps = [np.abs(one - other).mean() for n, one in enumerate(seen) for other in seen[:n]]
    assert min(gaps) > 4


@pytest.mark.parametrize("style", ["color", "duotone", "pop-art", "cartoon"])
def test_the_seed_chooses_the_colours(style: str, tmp_path: Path) -> None:
    run(tmp_path / "one", photo(), style=style, seed=1)
    run(tmp_path / "two", photo(), style=style, seed=2)

    one, two = avatar(tmp_path / "one").astype(int), avatar(tmp_path / "two")
    assert np.abs(one - two).mean() > 8


def with_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    exif[0x010E] = SECRET.decode()
    turns = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    turn = turns[orientation]
    stored = astronaut().transpose(turn) if turn is not None else astronaut()
    return photo(stored, exif=exif, comment=SECRET)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_photo_is_turned_upright_and_nothing_else_of_it_is_kept(
    orientation: int, tmp_path: Path
) -> None:
    data = with_exif(orientation)
    assert SECRET in data

    report = run(tmp_path, data)

    assert report["face"] == pytest.approx(FACE, abs=12)
    for path in (tmp_path / "outputs").iterdir():
        assert SECRET not in path.read_bytes()
    with Image.open(tmp_path / "outputs" / "original.jpg") as original:
        assert original.size == (512, 512)
        assert not original.getexif()
        assert "comment" not in original.info
        assert np.abs(np.asarray(original).astype(int) - np.asarray(astronaut())).mean() < 6


def test_a_photo_without_a_face_says_so(tmp_path: Path) -> None:
    report = run(tmp_path, photo(Image.new("RGB", (300, 200), "olive")))

    assert (report["face"], report["face_confidence"]) == (None, 0)
    assert report["warnings"] == [
        {"code": "no_face", "message": report["warnings"][0]["message"], "confidence": 1.0}
    ]
    assert avatar(tmp_path).shape == (512, 512, 3)


def test_what_is_doubtful_is_told(tmp_path: Path) -> None:
    crowd = Image.new("RGB", (1024, 512))
    crowd.paste(astronaut(), (0, 0))
    crowd.paste(astronaut(), (512, 0))
    blurred = astronaut().filter(ImageFilter.GaussianBlur(3.2))
    small = Image.new("RGB", (512, 512), (120, 130, 120))
    small.paste(astronaut().resize((220, 220)), (140, 140))
    tight = astronaut().crop((150, 50, 300, 165))

    assert "several_faces" in codes(run(tmp_path / "crowd", photo(crowd)))
    assert "blurred" in codes(run(tmp_path / "blurred", photo(blurred)))
    assert "face_small" in codes(run(tmp_path / "small", photo(small)))
    assert "photo_ends" in codes(run(tmp_path / "tight", photo(tight)))


def test_an_outline_that_is_not_sure_is_not_cut(tmp_path: Path) -> None:
    """Hair and background of one colour: no cut could be right."""
    noise = np.random.default_rng(1).integers(0, 60, (512, 512, 3))
    scene = np.asarray(astronaut()).copy()
    scene[:64] = scene[:, :150] = scene[:, 310:] = 0
    scene = np.where(scene == 0, noise + np.array([60, 45, 30]), scene).astype(np.uint8)

    report = run(tmp_path, photo(Image.fromarray(scene)), style="color")

    assert report["background"] == "faded"
    assert "matte_doubtful" in codes(report)


def test_a_face_below_a_wrong_transparency_is_still_found(tmp_path: Path) -> None:
    inverted = astronaut().convert("RGBA")
    inverted.putalpha(0)

    report = run(tmp_path, photo(inverted, "PNG"))

    assert codes(report) >= {"alpha_ignored"}
    assert report["face_confidence"] > 0.9


def test_whatever_a_photo_shows_there_is_an_avatar_and_a_word_about_it(tmp_path: Path) -> None:
    tiny = astronaut().resize((42, 42))  # a face of eight pixels
    turned_away = astronaut().crop((0, 180, 512, 512))  # a person without a head
    profile = Image.fromarray(skimage.data.camera())
    drawn = Image.new("RGB", (300, 300), "gold")
    pen = ImageDraw.Draw(drawn)
    pen.ellipse((60, 60, 240, 240), outline="black", width=6)
    for x in (115, 185):
        pen.ellipse((x - 12, 120, x + 12, 150), fill="black")
    pen.arc((110, 140, 190, 210), 20, 160, fill="black", width=6)

    for name, image in {
        "tiny": tiny,
        "away": turned_away,
        "profile": profile,
        "drawn": drawn,
    }.items():
        report = run(tmp_path / name, photo(image))

        assert avatar(tmp_path / name).shape == (512, 512, 3)
        assert codes(report) & {"no_face", "face_small", "face_doubtful"}, name


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (512, 512), "red")] * 3
    moving = photo(astronaut(), "WEBP", save_all=True, append_images=frames)

    report = run(tmp_path, moving)

    assert "image_animated" in codes(report)
    assert report["face_confidence"] > 0.9


def test_ink_of_four_colours_is_read_as_light(tmp_path: Path) -> None:
    report = run(tmp_path, photo(astronaut().convert("CMYK")))

    assert report["face"] == pytest.approx(FACE, abs=12)


@pytest.mark.parametrize("stage", ["detect", "matte", "style", "write"])
def test_a_cancel_stops_it_at_any_stage(stage: str, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run(tmp_path, photo(), Channel(cancel_at=stage))


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    run(tmp_path, photo())

    text = (tmp_path / "outputs" / "report.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["params"] == {"style": "studio", "size": 512, "seed": 0}
