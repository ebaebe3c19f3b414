"""Faces are found where they are, and hardly anywhere else."""

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tests.avatars.program import FACE, astronaut, finder
from usina.apps.avatars.face import SURE, Face


def faces_of(image: Image.Image) -> list[Face]:
    return finder().find(np.ascontiguousarray(image.convert("RGB")))


def is_at(face: Face, box: tuple[float, float, float, float]) -> bool:
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    near = np.hypot(face.centre[0] - x, face.centre[1] - y) < 0.25 * box[2]
    return bool(near) and 0.75 < face.box[2] / box[2] < 1.35


@pytest.mark.parametrize("lit", [1.6, 1.0, 0.35, 0.15])
def test_in_any_light(lit: float) -> None:
    (face,) = faces_of(ImageEnhance.Brightness(astronaut()).enhance(lit))

    assert is_at(face, FACE)
    assert face.confidence > 0.9


def test_in_black_and_white_mirrored_and_large() -> None:
    (grey,) = faces_of(ImageOps.grayscale(astronaut()))
    (mirrored,) = faces_of(ImageOps.mirror(astronaut()))
    (large,) = faces_of(astronaut().resize((3000, 3000)))

    assert is_at(grey, FACE)
    assert is_at(mirrored, (512 - FACE[0] - FACE[2], *FACE[1:]))
    assert is_at(large, tuple(side * 3000 / 512 for side in FACE))  # pyright: ignore


@pytest.mark.parametrize("degrees", [-35, -15, 10, 30])
def test_a_head_that_leans_is_found_and_how_far_it_does(degrees: int) -> None:
    upright = faces_of(astronaut())[0].roll
    turned = astronaut().rotate(-degrees, Image.Resampling.BICUBIC, center=(224, 114))

    face = faces_of(turned)[0]

    assert is_at(face, FACE)
    assert face.roll - upright == pytest.approx(degrees, abs=7)


def test_two_faces_are_two_and_the_larger_comes_first() -> None:
    both = Image.new("RGB", (900, 512))
    both.paste(astronaut(), (0, 0))
    both.paste(astronaut().resize((300, 300)), (560, 60))

    faces = faces_of(both)

    assert len(faces) == 2
    assert is_at(faces[0], FACE)


@pytest.mark.parametrize(
    "name", ["chelsea", "coffee", "horse", "rocket", "coins", "brick", "gravel", "page", "moon"]
)
def test_no_face_in_cats_cups_and_bricks(name: str) -> None:
    picture = np.asarray(getattr(skimage.data, name)())
    if picture.dtype == np.bool_:
        picture = picture.astype(np.uint8) * 255

    assert faces_of(Image.fromarray(picture)) == []


def test_a_confidence_is_a_number_that_falls_as_a_face_fades() -> None:
    sure = faces_of(astronaut())[0].confidence
    faint = faces_of(astronaut().filter(ImageFilter.GaussianBlur(7)))

    assert sure > 0.95
    assert not faint or SURE < faint[0].confidence < sure


def test_the_faces_of_a_hundred_people_and_what_is_none() -> None:
    """Tiny grey portraits out of a real collection, and as many pieces of its backgrounds."""
    found: list[bool] = []
    for crop in skimage.data.lfw_subset():
        face = Image.fromarray((crop * 255).astype(np.uint8)).resize(
            (150, 150), Image.Resampling.BICUBIC
        )
        sheet = Image.new("L", (260, 260), int(crop.mean() * 255))
        sheet.paste(face, (55, 55))
        found.append(bool(faces_of(sheet)))

    assert sum(found[:100]) >= 85
    assert sum(found[100:]) <= 2
