"""A report for people: one HTML page with everything inside, to read, to print and to send on.

Whatever comes from outside is escaped; the page runs no script, loads nothing and says so to the
browser (``Content-Security-Policy``).
"""

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from usina.apps.cfd.gate import Gate

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure that stands out, as ``Fact("Pressure drop", 1.93, "Pa")``."""

    name: str
    value: Cell
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers are set right with four significant digits, words left; null is a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture file (PNG) that goes into the page itself, with the caption below it."""

    picture: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Gates, those that are not kept first."""

    gates: Sequence[Gate]


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: Sequence[str | Table | Figure | Judged]
    """A text is a paragraph."""


@dataclass(frozen=True, slots=True)
class Report:
    """``warnings`` stand above all else; ``foot`` says what made the report."""

    title: str
    subtitle: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    warnings: Sequence[str] = ()
    foot: str = ""


def render(report: Report) -> str:
    """The page as a whole."""
    return "\n".join(_page(report)) + "\n"


def number(value: Cell) -> str:
    """A value as people read it: four significant digits, thousands apart, null a dash. One that
    needs no more than two was told rather than found, and stands as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return _real(value).replace("-", "\N{MINUS SIGN}")


def _real(value: float) -> str:
    told = value == float(f"{value:.1e}")
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        raised = str(int(exponent)).translate(_RAISED)
        return f"{float(mantissa):g} × 10{raised}" if told else f"{mantissa} × 10{raised}"
    return f"{value:g}" if told else f"{value:#.4g}".rstrip(".")


def _page(report: Report) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>"
    yield f"<header><h1>{escape(report.title)}</h1><p>{escape(report.subtitle)}</p></header>"
    yield from (f'<p class="warning">{escape(text)}</p>' for text in report.warnings)
    yield '<dl class="facts">'
    for fact in report.facts:
        unit = f" <span>{escape(fact.unit)}</span>" if fact.unit else ""
        yield f"<div><dt>{escape(fact.name)}</dt><dd>{escape(number(fact.value))}{unit}</dd></div>"
    yield "</dl>"
    for section in report.sections:
        yield f"<section><h2>{escape(section.title)}</h2>"
        for block in section.blocks:
            yield from _block(block)
        yield "</section>"
    yield f"<footer>{escape(report.foot)}</footer>\n</main>\n</body>\n</html>"


def _block(block: str | Table | Figure | Judged) -> Iterator[str]:
    match block:
        case str(text):
            yield f"<p>{escape(text)}</p>"
        case Table():
            yield from _table(block)
        case Figure(picture, caption):
            data = base64.b64encode(picture.read_bytes()).decode("ascii")
            words = escape(caption)
            yield f'<figure><img alt="{words}" src="data:image/png;base64,{data}">'
            yield f"<figcaption>{words}</figcaption></figure>"
        case Judged(gates):
            yield from _gates(gates)


def _table(table: Table) -> Iterator[str]:
    numeric = [
        all(not isinstance(row[place], str) for row in table.rows)
        for place in range(len(table.columns))
    ]
    kinds = ['class="number"' if is_number else "" for is_number in numeric]
    yield '<div class="wide"><table><thead><tr>'
    for name, kind in zip(table.columns, kinds, strict=True):
        yield f"<th {kind}>{escape(name)}</th>"
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells = zip(row, kinds, strict=True)
        yield "<tr>" + "".join(f"<td {k}>{escape(number(c))}</td>" for c, k in cells) + "</tr>"
    yield "</tbody></table></div>"


def _gates(gates: Sequence[Gate]) -> Iterator[str]:
    yield '<ul class="gates">'
    for gate in sorted(gates, key=lambda gate: gate.ok):
        kind, sign = ("ok", "✓") if gate.ok else ("not", "✗")
        yield f'<li class="{kind}"><b>{sign}</b><div><strong>{escape(_words(gate.name))}</strong>'
        found = f"{number(gate.value)} (limit {number(gate.limit)})"
        yield f"<span>{escape(found)}</span><p>{escape(gate.message)}</p></div></li>"
    yield "</ul>"


def _words(name: str) -> str:
    return _NAMES.get(name) or name.replace("_", " ").capitalize()


_NAMES: Final = {
    "eisfeld_schnitzlein_range": "Eisfeld-Schnitzlein range",
    "non_orthogonality": "Non-orthogonality",
}


_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE: Final = """
:root { --ink: #1c2733; --soft: #5b6b7b; --line: #dde3e9; --ground: #f4f6f8; --accent: #1f6fb2;
  --good: #1c7c4d; --bad: #b3372b; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 48px 40px 64px; background: #fff; }
header { border-bottom: 3px solid var(--accent); padding-bottom: 18px; margin-bottom: 26px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
header p, figcaption, footer, .gates span { color: var(--soft); }
header p { margin: 0; }
h2 { font-size: 20px; margin: 40px 0 12px; }
p { max-width: 70ch; margin: 0 0 12px; overflow-wrap: anywhere; }
.warning { max-width: none; background: #fdf1e3; border-left: 4px solid #d98a24;
  padding: 10px 14px; }
.facts { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; margin: 0; }
.facts div { border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
dt { font-size: 13px; color: var(--soft); }
dd { margin: 2px 0 0; font-size: 23px; font-weight: 600; font-variant-numeric: tabular-nums; }
dd span { font-size: 14px; font-weight: 400; color: var(--soft); }
.wide { overflow-x: auto; margin: 0 0 16px;
  background: linear-gradient(to right, #fff 24px, #fff0) local,
  linear-gradient(to left, #fff 24px, #fff0) right / 48px 100% no-repeat local,
  linear-gradient(to left, #c9d2db, #fff0) right / 14px 100% no-repeat; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--ink);
  vertical-align: bottom; }
th, td { padding: 7px 10px; }
td { border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
figure { margin: 0 0 24px; break-inside: avoid; }
img { display: block; max-width: 100%; margin: 0 auto; }
figcaption { font-size: 14px; margin-top: 8px; text-align: center; }
.gates { list-style: none; margin: 0 0 16px; padding: 0; }
.gates li { display: flex; gap: 12px; padding: 9px 0; border-bottom: 1px solid var(--line);
  break-inside: avoid; }
.gates b { color: #fff; background: var(--good); border-radius: 50%; width: 24px; height: 24px;
  flex: none; text-align: center; line-height: 24px; font-size: 14px; }
.gates .not b { background: var(--bad); }
.gates .not strong { color: var(--bad); }
.gates span { margin-left: 10px; font-size: 14px; }
.gates p { margin: 2px 0 0; font-size: 14px; }
footer { margin-top: 40px; padding-top: 14px; border-top: 1px solid var(--line); font-size: 13px; }
@media (max-width: 640px) { main { padding: 24px 18px; } h1 { font-size: 25px; }
  .facts { grid-template-columns: 1fr 1fr; gap: 8px; } .facts div { padding: 9px 12px; }
  dd { font-size: 19px; } }
@media print { @page { size: A4; margin: 16mm; }
  body { background: #fff; font-size: 11pt; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } * { print-color-adjust: exact; } }
"""
