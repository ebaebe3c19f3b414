"""What a prompt means: in both languages, in any case, with or without accents."""

from typing import Any

import pytest

from usina.apps.threed.parametric.catalogue import THINGS
from usina.apps.threed.parametric.lexicon import fold
from usina.apps.threed.parametric.order import take_order


def understood(prompt: str) -> list[dict[str, Any]]:
    return [order.make(0).understood for order in take_order(prompt)]


def one(prompt: str) -> dict[str, Any]:
    (entry,) = understood(prompt)
    return entry


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_every_name_is_understood(thing: Any) -> None:
    text = ' "A"' if thing.name == "sign" else ""
    for name in (*thing.english, *thing.portuguese):
        for written in (name, name.upper(), fold(name), f"a {name}", f"uma {name}, por favor"):
            (order,) = take_order(written + text)
            assert (order.thing.name, order.count) == (thing.name, 1), written


@pytest.mark.parametrize(
    ("english", "portuguese"),
    [
        ("3 red chairs", "três cadeiras vermelhas"),
        ("2 small blue vases", "dois vasos azuis pequenos"),
        ("mug 10 cm tall without handle", "caneca de 10 cm de altura sem alça"),
        ("wooden table with 3 legs", "mesa de madeira com 3 pernas"),
        ("gear, module 1.5, 30 teeth", "engrenagem, módulo 1,5, 30 dentes"),
        ("M8x40 bolt and two M8 nuts", "parafuso M8x40 e duas porcas M8"),
        ("box with lid 20 x 10 x 5 cm", "caixa com tampa 20 x 10 x 5 cm"),
        ("dark green pine 2 m tall", "pinheiro verde-escuro de 2 m de altura"),
        ("golden ring without gem", "anel dourado sem diamante"),
        ("round tree and house", "árvore redonda e casa"),
        ('white sign "Olá"', 'placa branca "Olá"'),
        ("copper pipe 1 m long, diameter 1 in", "tubo de cobre, comprimento 1 m, diâmetro 1 pol"),
        ("5 stairs with 4 steps", "cinco escadas com 4 degraus"),
        ("two hearts", "dois corações"),
        ("3 rings", "três anéis"),
    ],
)
def test_both_languages_say_the_same(english: str, portuguese: str) -> None:
    assert understood(english) == understood(portuguese)
    assert understood(english.upper().replace("OLÁ", "Olá")) == understood(english)
    if "Olá" not in portuguese:
        assert understood(fold(portuguese)) == understood(english)


@pytest.mark.parametrize(
    ("prompt", "metres"),
    [
        ("cube 20 mm", 0.02),
        ("cube 20mm", 0.02),
        ("2 cm cube", 0.02),
        ("cube of 0.02 m", 0.02),
        ("cubo de 2,5 centímetros", 0.025),
        ('1/2" cube', 0.0127),
        ("3/4 in cube", 0.01905),
        ("1 1/2 in cube", 0.0381),
        ("1½ inches cube", 0.0381),
        ('cube 2"', 0.0508),
        ("cubo de 2 polegadas", 0.0508),
        ("cube, edge: 3 cm", 0.03),
        ("3 cm wide cube", 0.03),
    ],
)
def test_lengths(prompt: str, metres: float) -> None:
    entry = one(prompt)
    assert entry["count"] == 1
    assert entry["dimensions_m"]["edge"] == pytest.approx(metres, rel=1e-9)


@pytest.mark.parametrize(
    ("prompt", "lengths"),
    [
        ("cylinder 5 cm in diameter and 10 cm tall", {"diameter": 0.05, "height": 0.1}),
        ("cylinder height 10 cm diameter 5 cm", {"diameter": 0.05, "height": 0.1}),
        ("5 x 10 cm cylinder", {"diameter": 0.05, "height": 0.1}),
        ("sphere radius 5 cm", {"diameter": 0.1}),
        ("20 mm x 3 cm x 1 in block", {"width": 0.02, "depth": 0.03, "height": 0.0254}),
        ("bearing 10x30x9 mm", {"bore": 0.01, "diameter": 0.03, "width": 0.009}),
        ("M10 x 50 bolt", {"length": 0.05}),
        ("M10 bolt 2 in long", {"length": 0.0508}),
        (
            "gear module 2 thickness 8 mm bore 6 mm",
            {"module": 2e-3, "thickness": 8e-3, "bore": 6e-3},
        ),
    ],
)
def test_named_lengths(prompt: str, lengths: dict[str, float]) -> None:
    assert one(prompt)["dimensions_m"] == pytest.approx(lengths, rel=1e-9)


def test_what_is_not_given_grows_along_where_it_should() -> None:
    mug, large = one("mug")["dimensions_m"], one("mug 19 cm tall")["dimensions_m"]
    assert large["diameter"] == pytest.approx(2 * mug["diameter"])
    table, long = one("table")["dimensions_m"], one("table 2 m wide")["dimensions_m"]
    assert long["height"] == table["height"]


def test_words_for_sizes() -> None:
    usual = one("vase")["dimensions_m"]
    small, tall, thin = (one(f"{word} vase")["dimensions_m"] for word in ("small", "tall", "thin"))
    assert small == pytest.approx({name: 0.65 * value for name, value in usual.items()})
    assert tall == pytest.approx({**usual, "height": 1.4 * usual["height"]})
    assert thin == pytest.approx({**usual, "wall": 0.65 * usual["wall"]})
    assert one("10 cm tall thin vase")["dimensions_m"]["height"] == 0.1


def test_colours_and_materials() -> None:
    assert (one("mug")["colour"], one("mug")["material"]) == ("teal", "ceramic")
    assert (one("glass mug")["colour"], one("glass mug")["material"]) == (None, "glass")
    assert (one("red metal mug")["colour"], one("red metal mug")["material"]) == ("red", "steel")
    assert one("mug #FF8800")["colour"] == "#ff8800"
    assert one("light blue mug")["colour"] == "light blue"


def test_a_word_with_two_meanings_is_an_object_where_there_is_no_other() -> None:
    assert one("a glass")["object"] == "glass"
    assert one("glass vase")["material"] == "glass"
    assert (one("3 shelves")["object"], one("3 shelves")["count"]) == ("shelf", 3)
    assert one("bookcase with 5 shelves")["shelves"] == 5
    assert [entry["object"] for entry in understood("two vasos de vidro")] == ["vase"]


def test_parts_belong_to_the_object_beside_them() -> None:
    first, second = understood("red mug, 12 cm tall, without handle and 2 blue bowls")
    assert (first["colour"], first["handle"], first["dimensions_m"]["height"]) == (
        "red",
        False,
        0.12,
    )
    assert (second["object"], second["colour"], second["count"]) == ("bowl", "blue", 2)
    assert one("tall, red mug")["colour"] == "red"


def test_signs_say_what_is_in_quotes() -> None:
    for quoted in ('"Ação 3"', "“Ação 3”", "«Ação 3»", "'Ação 3'"):
        assert one(f"blue sign {quoted} 5 cm tall")["text"] == "Ação 3"
    assert one('sign 5" tall "3 chairs"')["text"] == "3 chairs"
