"""Masks: exact on pictures whose object is known, sane on real ones, honest about doubt."""

import numpy as np
import pytest

from tests.threed.scene import (
    RED,
    blob,
    disc,
    noise,
    overlap,
    paint,
    picture_of,
    real,
    shaded,
    share,
)
from usina.apps.threed.mask import DOUBTFUL, Mask, find_mask, whole, work_size
from usina.apps.threed.surround import complete, without_stand
from usina.imaging.array import Field
from usina.imaging.opencv import resize, to_lab
from usina.imaging.picture import Picture
from usina_runner import InvalidInput

COVER = blob()
SIZE = COVER.shape
WHITE = np.array([248.0, 248.0, 245.0])


def codes(mask: Mask) -> list[str]:
    return [notice.code for notice in mask.notices]


def textured(colour: Field, strength: float, seed: int, grain: float = 3.0) -> Field:
    return colour + strength * noise(*SIZE, grain, seed)[..., None]


def reason(picture: Picture, **given: object) -> str | None:
    with pytest.raises(InvalidInput) as refusal:
        find_mask(picture, **given)
    return refusal.value.reason


def at(mask: Mask, picture: Picture, x: int, y: int) -> bool:
    """Whether a pixel of the picture is on the object."""
    inside = resize(mask.inside, picture.full_width, picture.full_height)
    return bool(inside[y, x] > 0.5)


def test_true_opacity_is_the_mask_between_pixels() -> None:
    alpha = np.rint(COVER * 255).astype(np.uint8)
    mask = find_mask(picture_of(paint(COVER, RED, RED), alpha))
    assert mask.method == "alpha"
    assert overlap(mask, COVER) > 0.98
    assert mask.fraction == pytest.approx(COVER.mean(), rel=0.01)


@pytest.mark.parametrize(
    "back",
    [
        WHITE,
        np.array([20.0, 22.0, 25.0]),
        np.array([30.0, 160.0, 60.0]),
        WHITE - 90 * np.linspace(0, 1, SIZE[1])[None, :, None] ** 2,
        WHITE + 9 * noise(*SIZE, 1.0)[..., None],
    ],
    ids=["white", "black", "green", "vignette", "grain"],
)
def test_plain_backdrops_are_keyed_out(back: Field) -> None:
    mask = find_mask(picture_of(paint(COVER, textured(RED, 30, 2), back)))
    assert mask.method == "border"
    assert overlap(mask, COVER) > 0.97
    assert mask.confidence > 0.85
    assert codes(mask) == []


GREY, BLACK, BLUE = np.full(3, 130.0), np.array([18.0, 18.0, 20.0]), np.array([120.0, 150.0, 210.0])


@pytest.mark.parametrize(("dark", "soft"), [(0.2, 12), (0.35, 8), (0.5, 12), (0.6, 6)])
@pytest.mark.parametrize(
    ("front", "back"),
    [(RED, WHITE), (BLACK, WHITE), (RED, GREY), (WHITE, BLUE), (GREY, BLUE), (BLUE, WHITE)],
    ids=["red", "black", "on grey", "white on blue", "grey on blue", "blue"],
)
def test_soft_shadows_are_no_part_of_the_object(
    front: Field, back: Field, dark: float, soft: float
) -> None:
    """They made up more than a quarter of what was found, and were blown up with it."""
    ground = shaded(COVER, back, dark, soft) + 2 * noise(*SIZE, 0.7)[..., None]
    mask = find_mask(picture_of(paint(COVER, textured(front, 10, 3, grain=4), ground)))
    assert mask.method == "border"
    assert overlap(mask, COVER) > (0.96 if dark < 0.6 else 0.9)
    assert mask.confidence > 0.7


@pytest.mark.parametrize("front", [GREY, np.array([200.0, 200.0, 198.0])])
def test_an_object_as_grey_as_its_shadow_is_found_or_doubtful(front: Field) -> None:
    for dark, soft in ((0.35, 8), (0.5, 12), (0.6, 6)):
        ground = shaded(COVER, WHITE, dark, soft)
        mask = find_mask(picture_of(paint(COVER, textured(front, 10, 3), ground)))
        assert overlap(mask, COVER) > 0.96 or mask.confidence < DOUBTFUL
        assert overlap(mask, COVER) > 0.96 or "mask_doubtful" in codes(mask)


def test_an_object_nearly_as_white_as_its_ground_keeps_its_shape() -> None:
    mask = find_mask(picture_of(paint(COVER, textured(WHITE - 24, 6, 3), WHITE)))
    assert overlap(mask, COVER) > 0.96


def dusk() -> Field:
    """A sky that grows lighter downwards, behind masts, over a dark busy horizon."""
    rows = np.linspace(0, 1, SIZE[0])[:, None, None]
    sky = np.array([30.0, 40.0, 90.0]) + rows * np.array([60.0, 50.0, 20.0])
    busy = np.array([40.0, 35.0, 40.0]) + 60 * noise(*SIZE, 4, 9)[..., None]
    masts = (np.indices(SIZE)[1] % 97 < 3)[..., None] & (rows > 0.05)
    return np.where((rows > 0.8) | masts, busy, sky)


def tower(bottom: int) -> Field:
    """From its rounded top at row 60 down to ``bottom``."""
    shape = np.zeros(SIZE)
    shape[80:bottom, 185:215] = 1
    return np.maximum(shape, disc(400, 300, 200, 80, 15))


def test_a_dark_end_before_the_sky_belongs_to_the_object() -> None:
    lit = np.linspace(0.32, 1.3, SIZE[0])[:, None, None] * np.array([190.0, 180.0, 150.0])
    cover = tower(260)
    pixels = paint(cover, lit, dusk())
    mask = find_mask(picture_of(pixels))
    assert mask.method == "cut"
    assert overlap(mask, cover) > 0.9
    whole, lower = cover > 0.5, np.indices(SIZE)[0] > 82
    assert share(complete(whole & lower, to_lab(pixels)), whole) > 0.95


def test_on_busy_ground_a_cut_stays_as_it_is() -> None:
    back = textured(np.array([90.0, 110.0, 120.0]), 160, 4, grain=6)
    part = (COVER > 0.5) & (np.indices(SIZE)[0] > 140)
    assert (complete(part, to_lab(paint(COVER, RED, back))) == part).all()


def test_what_it_stands_on_is_left_out() -> None:
    stand, whole = np.zeros(SIZE), tower(262) > 0.5
    stand[262:, 150:250] = 1
    lit, pad = np.array([220.0, 215.0, 200.0]), np.array([190.0, 120.0, 50.0])
    lab = to_lab(paint(stand, pad, paint(tower(262), lit, dusk()).astype(np.float64)))
    alone = without_stand(whole | (stand > 0.5), lab)
    assert alone is not None
    assert share(alone, whole) > 0.95
    assert without_stand(whole, lab) is None
    one_colour = to_lab(paint(np.maximum(stand, tower(262)), lit, dusk()))
    assert without_stand(whole | (stand > 0.5), one_colour) is None


def test_a_narrow_foot_or_a_small_head_is_no_stand() -> None:
    foot, whole = np.zeros(SIZE), disc(400, 300, 200, 150, 80) > 0.5
    foot[225:, 190:210] = 1
    pixels = paint(foot, BLUE, paint(whole.astype(float), RED, WHITE).astype(np.float64))
    assert without_stand(whole | (foot > 0.5), to_lab(pixels)) is None
    bust = np.zeros(SIZE)
    bust[150:, 80:320] = 1
    head = disc(400, 300, 200, 110, 45)
    pixels = paint(bust, BLUE, paint(head, RED, WHITE).astype(np.float64))
    assert without_stand(np.maximum(bust, head) > 0.5, to_lab(pixels)) is None


def test_busy_backdrops_are_cut() -> None:
    back = textured(np.array([90.0, 110.0, 120.0]), 60, 4, grain=6)
    mask = find_mask(picture_of(paint(COVER, textured(RED, 40, 5), back)))
    assert mask.method == "cut"
    assert overlap(mask, COVER) > 0.95
    assert mask.confidence > DOUBTFUL


def test_a_rectangle_chooses_among_objects() -> None:
    left, right = disc(400, 300, 110, 150, 60), disc(400, 300, 300, 150, 50)
    back = textured(np.array([120.0, 130.0, 120.0]), 70, 6, grain=5)
    picture = picture_of(paint(np.maximum(left, right), textured(RED, 30, 7), back))
    mask = find_mask(picture, rectangle=(235, 80, 130, 140))
    assert mask.method == "rectangle"
    assert overlap(mask, right) > 0.95


def test_a_drawn_mask_is_taken_as_it_is() -> None:
    pixels = paint(COVER, RED, WHITE)
    shape = disc(400, 300, 90, 80, 50)
    drawn = picture_of(paint(shape, np.full(3, 255.0), np.zeros(3)))
    mask = find_mask(picture_of(pixels), drawn=drawn)
    assert (mask.method, mask.confidence) == ("mask", 1.0)
    assert overlap(mask, shape) > 0.99
    half = picture_of(drawn.rgb[::2, ::2])
    assert overlap(find_mask(picture_of(pixels), drawn=half), shape) > 0.97
    clipped = find_mask(picture_of(pixels), drawn=drawn, rectangle=(0, 0, 90, 300))
    assert clipped.fraction == pytest.approx(mask.fraction / 2, rel=0.03)


def test_the_written_mask_can_be_sent_back() -> None:
    picture = picture_of(paint(COVER, textured(RED, 30, 2), WHITE))
    mask = find_mask(picture)
    written = mask.full_size(400, 300)
    assert set(np.unique(written)) == {0, 255}
    again = find_mask(picture, drawn=picture_of(np.repeat(written[..., None], 3, axis=2)))
    assert share(again.inside > 0.5, mask.inside > 0.5) > 0.98


def test_holes_stay_holes_and_highlights_do_not() -> None:
    ring = disc(400, 300, 200, 150, 100) - disc(400, 300, 200, 150, 45)
    mask = find_mask(picture_of(paint(ring, textured(RED, 30, 1), WHITE)))
    assert overlap(mask, ring) > 0.96
    shine = disc(400, 300, 180, 120, 4)
    body = disc(400, 300, 200, 150, 100)
    lit = paint(shine, np.full(3, 250.0), paint(body, RED, WHITE).astype(np.float64))
    assert overlap(find_mask(picture_of(lit)), body) > 0.98


def test_refusals_say_what_to_send() -> None:
    flat = picture_of(np.full((100, 150, 3), 128, dtype=np.uint8))
    assert reason(flat) == "mask_empty"
    picture = picture_of(paint(COVER, RED, WHITE))
    black = picture_of(np.zeros((300, 400, 3), dtype=np.uint8))
    assert reason(picture, drawn=black) == "mask_empty"
    assert reason(picture, drawn=picture_of(np.zeros((300, 300, 3), dtype=np.uint8))) == "mask_size"
    assert reason(picture, rectangle=(400, 0, 10, 10)) == "rectangle_outside"
    assert reason(picture, rectangle=(0, 300, 10, 10)) == "rectangle_outside"
    assert find_mask(picture, rectangle=(150, 100, 900, 900)).fraction > 0


def test_a_picture_of_nothing_in_particular_is_doubtful() -> None:
    pixels = textured(np.array([120.0, 120.0, 120.0]), 100, 3, grain=4)
    mask = find_mask(picture_of(np.clip(pixels, 0, 255).astype(np.uint8)))
    assert mask.confidence < DOUBTFUL
    assert "mask_doubtful" in codes(mask)


def test_an_object_that_leaves_the_picture_and_one_in_pieces_are_told() -> None:
    low = disc(400, 300, 200, 300, 110)
    assert "mask_touches_frame" in codes(find_mask(picture_of(paint(low, RED, WHITE))))
    two = np.maximum(disc(400, 300, 120, 150, 50), disc(400, 300, 290, 150, 50))
    mask = find_mask(picture_of(paint(two, RED, WHITE)))
    assert "mask_pieces" in codes(mask)
    assert overlap(mask, two) > 0.97


def test_the_same_picture_gives_the_same_mask() -> None:
    picture, mask = real("coffee.png")
    assert (find_mask(picture).inside == mask.inside).all()


def test_the_whole_picture_is_a_mask_too() -> None:
    picture = picture_of(paint(COVER, RED, WHITE))
    mask = whole(picture)
    assert work_size(picture) == (768, 576)
    assert mask.inside.shape == (576, 768)
    assert (mask.fraction, mask.confidence, mask.method) == (1.0, 1.0, "whole")


def test_transparency_that_is_no_mask_is_told() -> None:
    """A whole picture half transparent; a few pixels that are, as the horse has, say nothing."""
    rgb = paint(COVER, RED, np.array([240.0, 240.0, 240.0]))
    alpha = np.full(COVER.shape, 128, dtype=np.uint8)
    assert "alpha_ignored" in codes(find_mask(picture_of(rgb, alpha)))
    alpha[:] = 255
    alpha[0, :4] = 110
    assert "alpha_ignored" not in codes(find_mask(picture_of(rgb, alpha)))


def test_the_horse_is_keyed_although_it_has_an_alpha_channel() -> None:
    picture, mask = real("horse.png")
    assert mask.method == "border"
    assert codes(mask) == []
    truth = picture.rgb.mean(axis=2) < 128
    assert share(resize(mask.inside, 400, 328) > 0.5, truth) > 0.97
    assert mask.confidence > 0.9


def test_the_rocket_is_cut_from_the_night() -> None:
    """With its dark nose, without the pad, the lamp and the masts."""
    picture, mask = real("rocket.jpg")
    assert mask.method == "cut"
    assert 0.015 < mask.fraction < 0.04
    assert all(at(mask, picture, 322, y) for y in (132, 145, 160, 250, 390))
    assert not any(at(mask, picture, x, y) for x, y in ((100, 200), (545, 200), (322, 60)))
    assert not any(at(mask, picture, x, y) for x, y in ((290, 415), (340, 415), (364, 398)))
    assert codes(mask) == ["mask_stand_left_out"]
    assert mask.confidence > 0.6


def test_the_cup_is_cut_from_the_table() -> None:
    picture, mask = real("coffee.png")
    assert 0.4 < mask.fraction < 0.55
    assert all(at(mask, picture, x, y) for x, y in ((280, 130), (150, 200), (240, 260), (370, 275)))
    assert not any(at(mask, picture, x, y) for x, y in ((40, 40), (560, 200), (60, 370)))


def test_the_astronaut_is_cut_with_head_and_shoulders() -> None:
    picture, mask = real("astronaut.png")
    assert all(at(mask, picture, x, y) for x, y in ((220, 60), (220, 110), (120, 330), (250, 350)))
    assert not any(at(mask, picture, x, y) for x, y in ((30, 60), (400, 100), (330, 60)))
    assert "mask_touches_frame" in codes(mask)
    assert DOUBTFUL < mask.confidence < 0.95


def test_a_face_that_fills_the_picture_is_doubtful() -> None:
    _, mask = real("chelsea.png")
    assert mask.confidence < DOUBTFUL
