"""Words as values: by the type that the model's schema gives the name."""

import math
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from usina.faces.cli.parameter import described, read_inputs, read_params
from usina_client import Model

ID = "0190aaaa-0000-7000-8000-000000000001"

PARAMS: dict[str, Any] = {
    "texture_size": {"type": "integer", "minimum": 256, "maximum": 4096},
    "scale": {"type": "number", "exclusiveMinimum": 0},
    "smooth": {"type": "boolean"},
    "prompt": {"type": "string", "maxLength": 100},
    "style": {"type": "string", "enum": ["ink", "oil"]},
    "rectangle": {"type": "array", "minItems": 4, "maxItems": 4},
    "fluid": {"type": "object"},
    "velocity": {"anyOf": [{"type": "number"}, {"type": "array"}]},
    "seed": {"type": ["integer", "null"]},
    "size": {"enum": [512, 1024]},
    "free": {},
}


def model(**more: Any) -> Model:
    fields: dict[str, Any] = {
        "name": "m-v1",
        "version": "1",
        "task": "t",
        "description": "d",
        "license": "MIT",
        "input_schema": {
            "type": "object",
            "properties": {"image": {}, "mask": {}},
            "required": ["image"],
        },
        "params_schema": {"type": "object", "properties": PARAMS},
        "resources": {"memory_bytes": 1, "slots": 1, "gpu": 0},
        "timeout_seconds": 1,
        "available": True,
    }
    return Model(**fields | more)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("texture_size=1024", 1024),
        ("texture_size=-1", -1),  # the bounds are the platform's to judge
        ("scale=2", 2),
        ("scale=1e-3", 0.001),
        ("smooth=true", True),
        ("smooth=No", False),
        ("prompt=a chair = b", "a chair = b"),
        ("prompt=42", "42"),
        ("prompt=", ""),
        ("style=ink", "ink"),
        ("rectangle=[1, 2, 3, 4]", [1, 2, 3, 4]),
        ('fluid={"density_kg_m3": 1000}', {"density_kg_m3": 1000}),
        ("velocity=0.5", 0.5),
        ("velocity=[0.1, 0.2]", [0.1, 0.2]),
        ("seed=7", 7),
        ("seed=null", None),
        ("size=512", 512),
        ("free=true", True),
        ("free=[1]", [1]),
        ("free=word", "word"),
    ],
)
def test_a_value_is_read_by_its_type(pair: str, value: object) -> None:
    name = pair.split("=")[0]

    params = read_params(model(), [pair])

    assert params == {name: value}
    assert type(params[name]) is type(value)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (
            "texture_size=big",
            "texture_size must be an integer, at least 256, at most 4096, not 'big'",
        ),
        ("texture_size=1.5", "texture_size must be an integer"),
        ("texture_size=true", "texture_size must be an integer"),
        ("scale=NaN", "scale must be a number, above 0, not 'NaN'"),
        ("scale=Infinity", "scale must be a number"),
        ("scale=1e999", "scale must be a number"),
        ("frees=1", "Did you mean free?"),
        ("rectangle=" + "[" * 50_000, "rectangle must be a JSON array"),
        ("smooth=maybe", "smooth must be true or false, not 'maybe'"),
        ("rectangle=1,2,3,4", "rectangle must be a JSON array, at least 4 items, at most 4 items"),
        ("rectangle={}", "rectangle must be a JSON array"),
        ("fluid=[1]", "fluid must be a JSON object"),
        ("velocity=fast", "velocity must be a number or a JSON array"),
        ("size=large", "size must be one of 512, 1024, not 'large'"),
        ("textur_size=1", "m-v1 has no parameter 'textur_size'. Did you mean texture_size"),
        ("qqq=1", "m-v1 has no parameter 'qqq'. It has: fluid, free,"),
        ("texture_size", "'texture_size' is not of the form K=V"),
        ("=1", "'=1' is not of the form K=V"),
    ],
)
def test_what_cannot_be_read_is_explained(pair: str, words: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        read_params(model(), [pair])

    assert words in caught.value.format_message()


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="twice"):
        read_params(model(), ["seed=1", "seed=2"])


def test_a_model_without_parameters_says_so() -> None:
    with pytest.raises(typer.BadParameter, match="It has none"):
        read_params(model(params_schema={"type": "object"}), ["x=1"])


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    """Every text is a value or a refusal in words, and what is read is JSON."""
    for name in PARAMS:
        try:
            (value,) = read_params(model(), [f"{name}={text}"]).values()
        except typer.BadParameter:
            continue
        assert not isinstance(value, float) or math.isfinite(value)


@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
    )
)
def test_no_schema_breaks_the_words(schema: dict[str, Any]) -> None:
    assert described(schema)


def test_inputs_are_files_or_ids(tmp_path: Path) -> None:
    picture = tmp_path / "a=b.png"
    picture.write_bytes(b"x")

    assert read_inputs(model(), [f"image={picture}", f"mask={ID}"]) == {
        "image": picture,
        "mask": ID,
    }


def test_a_repeated_input_is_a_list(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"x")

    assert read_inputs(model(), [f"image={picture}", f"image={ID}"]) == {"image": [picture, ID]}


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["image=none.png"], "image: 'none.png' does not exist"),
        (["image=."], "image: '.' is a folder"),
        (["imgae=x"], "m-v1 has no input 'imgae'. Did you mean image?"),
        (["x.png"], "'x.png' is not of the form INPUT=FILE"),
        ([], "m-v1 needs image=FILE"),
        ([f"mask={ID}"], "m-v1 needs image=FILE"),
    ],
)
def test_what_is_no_input_is_explained(pairs: list[str], words: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        read_inputs(model(), pairs)

    assert words in caught.value.format_message()
