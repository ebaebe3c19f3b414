"""The guide of the room says what its models declare."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.images import bad_images
from tests.threed.body import cube
from tests.threed.parametric.table import row
from usina.apps.threed.app import app
from usina.apps.threed.parametric.catalogue import THINGS
from usina.apps.threed.parametric.fastener import METRIC
from usina.apps.threed.parametric.lexer import lex
from usina.apps.threed.parametric.order import take_order
from usina.apps.threed.printing.judgement import judge
from usina.kernel.runners.manifest import load_manifest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "models-3d.md").read_text()
CODE = Path(app.runners).parent
MODELS = ("inflate-v1", "relief-v1", "parametric-v1")


def table(heading: str) -> dict[str, str]:
    """The first two columns of the table under a heading."""
    section = GUIDE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*)", section, re.MULTILINE)
    return {name: value.strip() for name, value in rows}


def shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("model", ["inflate-v1", "relief-v1"])
def test_parameters_and_defaults(model: str) -> None:
    told = table("Parameters of both") | table(f"Parameters of `{model}`")
    declared = load_manifest(app.runners / model).params
    assert told == {
        name: shown(spec["default"]) if "default" in spec else "none"
        for name, spec in declared.items()
    }


def test_parameters_of_the_words() -> None:
    declared = load_manifest(app.runners / "parametric-v1").params
    assert table("Parameters of `parametric-v1`") == {
        name: shown(spec.get("default", "none")) for name, spec in declared.items()
    }


def test_every_object_with_its_names_and_ranges() -> None:
    section = GUIDE.split("## Objects\n", 1)[1].split("\n## ", 1)[0]
    told = [line for line in section.splitlines() if line.startswith("| `")]
    assert told == [row(thing) for thing in THINGS]


def test_what_the_guide_says_is_understood() -> None:
    section = GUIDE.split("## Words to 3D\n", 1)[1].split("\n## ", 1)[0]
    examples = re.findall(r"^\| [^`|]* \| ([^|]*) \|", section, re.MULTILINE)
    phrases = [phrase for cell in examples for phrase in re.findall(r"`([^`]+)`", cell)]
    assert len(phrases) > 30
    for phrase in phrases:
        words = lex(phrase)
        assert words
        assert all(word.kind != "UNKNOWN" for word in words), phrase
        if any(word.kind == "OBJECT" for word in words):
            assert take_order(phrase), phrase
    for size in METRIC:
        assert re.search(rf"\b{re.escape(size)}\b", section), size


def test_every_warning_and_reason() -> None:
    rooms = (CODE, CODE.parents[1] / "imaging")
    source = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    warnings = set(re.findall(r'Notice\(\s*"(\w+)"', source))
    reasons = set(re.findall(r'InvalidInput\(\s*"(\w+)"', source))
    printing = {name for name in table("Printing") if name.startswith("print_")}
    assert set(table("Warnings")) | printing == warnings
    assert set(table("When it fails")) == reasons
    assert {bad.expected_reason for bad in bad_images() if bad.kind == "decode"} <= reasons


def test_every_key_of_the_judgement() -> None:
    told = judge(cube(20)).as_json()
    section = GUIDE.split("## Printing\n", 1)[1].split("\n## ", 1)[0]
    assert {name for name in told if f"`{name}`" in section} == set(told) - {"warnings"}


def test_every_artifact() -> None:
    assert set(table("What comes out")) == set(load_manifest(app.runners / "relief-v1").outputs)


def test_every_gate_and_which_models_have_it() -> None:
    gates = {model: set(load_manifest(app.runners / model).gates) for model in MODELS}
    told = table("Gates")
    assert gates["inflate-v1"] == gates["relief-v1"] == set(told)
    assert gates["parametric-v1"] == {name for name, models in told.items() if models == "all"}
