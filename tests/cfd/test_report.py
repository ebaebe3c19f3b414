"""The page that people read: whole in itself, honest about what failed, safe with any text."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from usina.apps.cfd.gate import Gate, at_least, at_most, passed
from usina.apps.cfd.report import Fact, Figure, Judged, Report, Section, Table, number, render

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)> & \x00 #codeStream {}'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page(tmp_path: Path) -> str:
    picture = tmp_path / "plot.png"
    picture.write_bytes(PNG)
    gates = [
        at_least("fit", 0.99, 0.95, "The slope is a line.", "The slope is no line."),
        at_most("mass_balance", 0.02, 0.01, "All that enters leaves.", HOSTILE),
    ]
    table = Table([HOSTILE, "Δp (Pa)"], [[HOSTILE, 1234.5], ["b", None]])
    blocks = [HOSTILE, table, Figure(picture, HOSTILE), Judged(gates)]
    return render(
        Report(HOSTILE, HOSTILE, [Fact(HOSTILE, 1.5, "Pa")], [Section(HOSTILE, blocks)], [HOSTILE])
    )


def test_whatever_comes_from_outside_is_text(tmp_path: Path) -> None:
    read = Tags(page(tmp_path))

    assert "script" not in {tag for tag, _ in read.tags}
    assert not any(name.startswith("on") for _, held in read.tags for name in held)
    assert read.text.count("alert(1)") == 11, "once at each of its places"


def test_the_page_is_whole_in_itself(tmp_path: Path) -> None:
    read = Tags(page(tmp_path))

    sources = [held["src"] or "" for tag, held in read.tags if tag == "img"]
    assert [base64.b64decode(source.partition(",")[2]) for source in sources] == [PNG]
    assert not re.search(r"url\(|@import|<link", page(tmp_path))
    assert "https:" not in read.text


def test_a_gate_that_is_not_kept_stands_first_and_says_why(tmp_path: Path) -> None:
    text = Tags(page(tmp_path)).text

    assert text.index("Mass balance") < text.index("Fit")
    assert "0.02 (limit 0.01)" in text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_not_known_passes_no_gate(value: float | None) -> None:
    high = at_most("skewness", value, 1e9, "good", "bad")

    assert high == Gate("skewness", False, None, 1e9, "bad")
    assert not passed([high])
    assert at_most("imbalance", -2.0, 1.0, "good", "bad").ok is False, "a bound on the size"


def test_numbers_are_written_for_people() -> None:
    assert number(1.5e-5) == "1.5 × 10⁻⁵"
    assert number(1.5004e-5) == "1.500 × 10⁻⁵"
    assert [number(told) for told in (0.0, 0.1, 16.0, 0.002)] == ["0", "0.1", "16", "0.002"]
    assert number(0.1004) == "0.1004"
    assert number(1.4002) == "1.400"
    assert number(-0.0123) == "\N{MINUS SIGN}0.01230"
    assert number(1234.5) == "1234"
    assert number(187283) == "187\u202f283"
    assert number(None) == number(float("nan")) == "–"
