"""The pages name every parameter, family, reason and warning that there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.vision.network import OUTPUTS
from tests.vision.program import manifest
from usina.apps.vision.app import app

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "detect-things.md").read_text()
ERRORS = (ROOT / "docs" / "reference" / "errors.md").read_text()
SHARED = {"image_animated", "image_small"}
"""Warnings of reading a picture."""


def table(heading: str) -> list[str]:
    """The words in the first column of the tables under a heading."""
    section = GUIDE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    first = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return [word for cell in first for word in re.findall(r"`([^`]+)`", cell)]


def codes(*kinds: str) -> Iterator[str]:
    """The first word of every call of these kinds in the room."""
    for path in app.runners.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in kinds
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def test_every_parameter_is_explained() -> None:
    assert table("What can be asked") == list(manifest().params)


def test_every_family_is_named() -> None:
    assert set(table("Install a detector")) == set(OUTPUTS)


def test_every_warning_is_explained() -> None:
    warnings = {*codes("Notice"), *SHARED}

    assert set(table("What is told")) == warnings
    for code in warnings:
        assert f"`{code}`" in ERRORS


def test_every_reason_has_its_line() -> None:
    reasons = {*codes("InvalidInput", "Unusable"), "model_replaced"}

    assert {"unknown_class", "not_a_detector"} <= reasons
    for reason in reasons:
        assert f"| `{reason}` |" in ERRORS, reason
