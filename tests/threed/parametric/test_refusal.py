"""What can not be followed to the letter is refused, with a reason and a way out."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from usina.apps.threed.parametric.lexicon import vocabulary
from usina.apps.threed.parametric.order import take_order
from usina_runner import InvalidInput

REASONS = {
    "conflict",
    "not_applicable",
    "out_of_range",
    "prompt_characters",
    "prompt_too_long",
    "prompt_unclear",
    "text_letters",
    "unknown_object",
    "unknown_words",
}


def refusal(prompt: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        take_order(prompt)
    assert raised.value.reason in REASONS
    return raised.value


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a chiar", "chair"),
        ("cadera vermelha", "cadeira"),
        ("dragon", "mug"),
        ("", "names no object"),
        ("   ", "names no object"),
        ("red 5 cm", "names no object"),
        ("please make me a", "names no object"),
        ("🚀", "🚀"),
        ("漢字", "漢字"),
    ],
)
def test_an_object_that_is_not_known(prompt: str, told: str) -> None:
    refused = refusal(prompt)
    assert refused.reason == "unknown_object"
    assert told in refused.message
    assert "phone stand" in refused.message


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("mug with flowers", ["flowers"]),
        ("shiny rde mug", ["shiny", "rde"]),
        ("mug; DROP TABLE jobs --", ["DROP", "jobs"]),
        ("mug $(rm -rf /)", ["$", "rm", "rf", "/"]),
        ("mug <script>alert(1)</script>", ["<", "script"]),
        ("mug ../../etc/passwd", ["/", "etc", "passwd"]),
        ("chair 🪑", ["🪑"]),
        ("chair and a dragon", ["dragon"]),
    ],
)
def test_words_that_are_not_known_are_listed(prompt: str, words: list[str]) -> None:
    refused = refusal(prompt)
    assert refused.reason == "unknown_words"
    for word in words:
        assert f"'{word}'" in refused.message


def test_near_words_are_suggested() -> None:
    assert "perhaps red" in refusal("mug in redd").message
    assert "vermelho" in refusal("caneca vermelo").message


def test_a_flood_of_words_gets_a_short_answer() -> None:
    few = " ".join(f"qq{chr(97 + number)}q" for number in range(20))
    assert "and 12 more" in refusal(f"mug {few}").message
    assert len(refusal("mug " + "x" * 300).message) < 300
    assert refusal("mug " * 10_000).reason == "prompt_too_long"


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("mug 5 m tall", ["5 m tall", "height of a mug", "0.03 to 0.3 m"]),
        ("mug 50 cm tall", ["3 to 30 cm"]),
        ("mug 20 in tall", ["1.181 to 11.81 in"]),
        ("cube 0 mm", ["1 to 10000 mm"]),
        ("mug -5 cm", ["-5 cm"]),
        ("21 chairs", ["1 to 20"]),
        ("0 chairs", ["1 to 20"]),
        ("1.5 chairs", ["1 to 20"]),
        ("15 chairs and 15 mugs", ["30 objects", "1 to 20"]),
        ("table with 2 legs", ["3 to 8"]),
        ("gear with 5 teeth", ["8 to 200"]),
        ("M7 bolt", ["M7", "M6, M8"]),
        ("M8x400 bolt", ["8 to 96 mm"]),
        ("mug 10 cm tall wall 3 cm", ["wall of a mug", "cm"]),
        ("torus 5 cm, thickness 4 cm", ["thickness of a torus", "2.4 cm"]),
        (f'sign "{"A" * 25}"', ["25 characters"]),
        ('sign ""', ["1 to 24"]),
    ],
)
def test_what_is_out_of_range_is_told_with_the_range(prompt: str, told: list[str]) -> None:
    refused = refusal_when_made(prompt)
    assert refused.reason == "out_of_range"
    for part in told:
        assert part in refused.message, refused.message


def refusal_when_made(prompt: str) -> InvalidInput:
    """Lengths that only do not fit together are found out when the object is built."""
    with pytest.raises(InvalidInput) as raised:
        make(prompt)
    return raised.value


def make(prompt: str) -> None:
    for order in take_order(prompt):
        order.make(0)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("red and blue mug", ["red", "blue"]),
        ("red mug, green", ["red", "green"]),
        ("wooden metal chair", ["wooden", "metal"]),
        ("small huge mug", ["small", "huge"]),
        ("small mug 10 cm tall", ["small", "10 cm tall"]),
        ("tall mug, height 10 cm", ["tall", "height 10 cm"]),
        ("tall short mug", ["tall", "short"]),
        ("cube 3 cm, 4 cm", ["3 cm", "4 cm"]),
        ("sphere 5 cm, radius 3 cm", ["5 cm", "radius 3 cm"]),
        ("3 legs 4 legs stool", ["3 legs", "4 legs"]),
        ("M8 M10 nut", ["M8", "M10"]),
        ("M8x40 bolt 50 mm long", ["M8x40", "50 mm long"]),
        ("box with lid without lid", ["box with lid", "without lid"]),
        ('sign "A" "B"', ['"A"', '"B"']),
        ("2 3 chairs", ["2", "3"]),
    ],
)
def test_two_things_said_about_one(prompt: str, said: list[str]) -> None:
    refused = refusal(prompt)
    assert refused.reason == "conflict"
    for part in said:
        assert part in refused.message


@pytest.mark.parametrize(
    "prompt",
    [
        "mug with 24 teeth",
        "chair with lid",
        'chair "OPEN"',
        "M8 chair",
        "small bolt",
        "tall nut",
        "thin table",
        "chair diameter 5 cm",
        "5 cm nut",
    ],
)
def test_what_does_not_go_with_the_object(prompt: str) -> None:
    refused = refusal(prompt)
    assert refused.reason == "not_applicable"
    assert "It takes" in refused.message


@pytest.mark.parametrize(
    "prompt",
    [
        "chair 3",
        "mug bowl",
        "sign",
        "gear 5 cm",
        "table 2 m",
        "20 x 30 cm box",
        "20x30x5 box",
        "mug height 10",
        "chair 3 cm cm",
        "table without",
        "stool 1,000 mm",
        "cube 1/0 in",
        f"cube {'9' * 350} m",
        f"{'9' * 350} chairs",
        "legs table",
        "sphere 5 cm radius 3 cm",
    ],
)
def test_what_makes_no_sense(prompt: str) -> None:
    assert refusal(prompt).reason == "prompt_unclear"


def test_characters_that_are_no_text() -> None:
    for character in "\0\x1b\x7f\u202e\u200b\ue000":
        refused = refusal(f"red {character} mug")
        assert refused.reason == "prompt_characters"
        assert f"U+{ord(character):04X}" in refused.message
    assert take_order("red\n\tmug")[0].colour == "red"


def test_letters_that_the_font_has_not() -> None:
    refused = refusal('sign "日本 ok"')
    assert refused.reason == "text_letters"
    assert "日 本" in refused.message


@settings(max_examples=150, deadline=None, derandomize=True)
@example("M8x")
@example('"')
@example("1/2/3 cube")
@example("x x x")
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from([*vocabulary(), "3", "1,5", "2 1/2", "x", ",", "M8x40", '"A"', "5"]),
            max_size=9,
        ).map(" ".join),
    )
)
def test_any_prompt_is_understood_or_refused_with_a_reason(prompt: str) -> None:
    refused: InvalidInput | None = None
    count = 1
    try:
        count = sum(order.count for order in take_order(prompt))
    except InvalidInput as raised:
        refused = raised
    assert 1 <= count <= 20
    assert refused is None or (refused.reason in REASONS and len(refused.message) < 1500)
