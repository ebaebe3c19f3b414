"""The pages name every style and warning that there is, and the sheet is what the code draws."""

import ast
import io
import re
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from usina.apps.avatars.app import app
from usina.apps.avatars.sheet import draw_sheet
from usina.apps.avatars.style.catalogue import STYLES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "portraits.md").read_text()


def table(heading: str) -> list[str]:
    """The words in the first column of the table under a heading."""
    section = GUIDE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    first = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return [word for cell in first for word in re.findall(r"`([^`]+)`", cell)]


def test_every_style_is_shown_and_named() -> None:
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()

    assert table("The styles") == list(STYLES)
    for style in STYLES:
        assert f"`{style}`" in reference


def test_every_warning_is_explained() -> None:
    errors = (ROOT / "docs" / "reference" / "errors.md").read_text()
    names = {"Doubt", "Notice"}
    calls = [
        node
        for folder in (app.runners.parent, app.runners.parents[2] / "imaging")
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    codes = {
        str(ast.literal_eval(call.args[0]))
        for call in calls
        if call.func.id in names and isinstance(call.args[0], ast.Constant)  # pyright: ignore
    }

    assert codes == set(table("What is told"))
    for code in codes:
        assert f"`{code}`" in errors


def test_the_sheet_in_the_guide_is_what_is_made_today() -> None:
    path = ROOT / "docs" / "guides" / "pictures" / "portraits.webp"
    drawn = io.BytesIO()
    draw_sheet(Path(skimage.__path__[0]) / "data" / "astronaut.png").save(drawn, "WEBP", quality=82)

    with Image.open(path) as kept, Image.open(drawn) as now:
        assert kept.size == now.size
        assert np.abs(np.asarray(kept).astype(int) - np.asarray(now)).mean() < 4
    assert path.stat().st_size < 400_000
