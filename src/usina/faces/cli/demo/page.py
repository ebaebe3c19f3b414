"""The demo's page: every result with its preview, what it is, and what lies beside it."""

import html
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from usina.faces.cli.demo.work import Result
from usina.faces.cli.output import size

_SHOWN: Final = {
    "preview.png": "what became of it",
    "turntable.webp": "from all sides",
    "avatar.png": "the avatar",
    "slice.png": "how fast it runs where",
}
_MEASURES: Final = {
    "particle_count": ("particles", ""),
    "porosity": ("porosity", ""),
    "permeability_m2": ("permeability", " m²"),
}


def write_page(out: Path, results: Sequence[Result]) -> Path:
    """`index.html` of the folder; it loads nothing from elsewhere."""
    made = [result for result in results if not result.failure]
    facts = (
        f"{len(made)} of {len(results)} jobs succeeded, "
        f"{sum(len(result.paths) for result in made)} files, "
        f"{max((result.seconds for result in results), default=0):.0f} seconds."
    )
    cards = "\n".join(_card(out, result) for result in results)
    page = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    index = out / "index.html"
    index.write_text(page.substitute(facts=html.escape(facts), cards=cards), encoding="utf-8")
    return index


def _card(out: Path, result: Result) -> str:
    piece = result.piece
    return f"""\
<article>
  <header><h2>{html.escape(piece.stem.capitalize())}</h2><code>{html.escape(piece.model)}</code></header>
  <p>{html.escape(piece.about)}</p>
  <div class="pictures">{_pictures(out, result)}</div>
  {_failure(result) if result.failure else _report(result)}
  <ul>{"".join(_file(out, path) for path in result.paths)}</ul>
  <pre>{html.escape(_command(result))}</pre>
</article>"""


def _command(result: Result) -> str:
    """How to make it by hand."""
    words = ["usina", "run", result.piece.model]
    if result.picture:
        words.append(f"{result.piece.input}={result.picture.name}")
    if result.piece.made_of:
        words.append(f"{result.piece.input}={result.piece.part}")
    for name, value in result.piece.params.items():
        told = json.dumps(value) if isinstance(value, dict) else value
        words += ["--param", f"{name}={told}"]
    return shlex.join(words)


def _pictures(out: Path, result: Result) -> str:
    made = {path.name: path for path in result.paths}
    shown = [("input", result.picture, "the picture")] if result.picture else []
    shown += [
        (Path(name).stem, made[name], words) for name, words in _SHOWN.items() if name in made
    ]
    return "".join(
        f'<figure class="{role}"><img src="{_link(out, path)}" '
        f'alt="{html.escape(result.piece.stem)}: {words}">'
        f"<figcaption>{words}</figcaption></figure>"
        for role, path, words in shown
    )


def _report(result: Result) -> str:
    """What the program says of its own work, and how long it took."""
    report = _report_of(result)
    rows = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in _facts(result, report)
    )
    warnings = report.get("warnings")
    notes = "".join(
        f'<p class="warning">{_with_code(html.escape(_warning(each)))}</p>'
        for each in (warnings if isinstance(warnings, list) else [])
    )
    return f"<dl>{rows}</dl>{notes}"


def _facts(result: Result, report: dict[str, JsonValue]) -> Iterator[tuple[str, str]]:
    if result.job and result.job.metrics.run_seconds is not None:
        yield "made in", f"{result.job.metrics.run_seconds:.1f} s"
    for name in ("vertices", "faces"):
        count = report.get(name)
        if isinstance(count, int):
            yield name, f"{count:,}".replace(",", "\u202f")
    if isinstance(report.get("watertight"), bool):
        yield "watertight", "yes" if report["watertight"] else "no"
    for key, (name, unit) in _MEASURES.items():
        value = report.get(key)
        if isinstance(value, int | float):
            yield name, f"{value:.3g}{unit}"
    volume = report.get("volume_m3")
    if isinstance(volume, int | float):
        yield "volume", f"{volume:.1f} m³" if volume >= 1 else f"{volume * 1e6:.1f} cm³"


def _report_of(result: Result) -> dict[str, JsonValue]:
    for path in result.paths:
        if path.name == "report.json":
            report: JsonValue = json.loads(path.read_bytes())
            return report if isinstance(report, dict) else {}
    return {}


def _with_code(escaped: str) -> str:
    """Words between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)


def _warning(warning: JsonValue) -> str:
    if isinstance(warning, dict):
        return str(warning.get("message") or warning.get("code") or warning)
    return str(warning)


def _failure(result: Result) -> str:
    return f'<pre class="failure">{html.escape(result.failure)}</pre>'


def _file(out: Path, path: Path) -> str:
    name = html.escape(path.name)
    return f'<li><a href="{_link(out, path)}">{name}</a> {size(path.stat().st_size)}</li>'


def _link(out: Path, path: Path) -> str:
    return quote(path.relative_to(out).as_posix())
