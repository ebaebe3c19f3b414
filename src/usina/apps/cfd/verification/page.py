"""The page of the verification, out of what was computed and nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from usina.apps.cfd.plot import draw_chart
from usina.apps.cfd.verification.part import Part, Record, Row

PAGE: Final = "verification-of-flows.md"
PICTURES: Final = "pictures"

_HEAD: Final = """\
# Verification of beds and flows

What the CFD room computes, held against what is known. Every figure on this page comes from a run
of the code as it stands; the page is written by

```console
$ make verification
```

which takes hours when it begins anew. What was computed is kept beside the page, in
[verification](verification), so a run that was cut off goes on, and one part can be run alone:
`python -m usina.apps.cfd.verification arrays`; with `--again` it begins anew. A part that has not
been run yet is not on the page.
"""


def write_page(folder: Path, parts: Sequence[Part], records: Sequence[Record]) -> Path:
    """`PAGE` in ``folder``, with its pictures below."""
    lines = [_HEAD]
    for part, record in zip(parts, records, strict=True):
        rows = [record.rows[name] for name in part.cases if name in record.rows]
        if rows:
            lines += _section(folder, part, rows)
    path = folder / PAGE
    path.write_text("\n".join(lines).rstrip() + "\n", "utf-8")
    return path


def _section(folder: Path, part: Part, rows: Sequence[Row]) -> Iterator[str]:
    yield f"## {part.title}\n"
    yield f"{part.about}\n"
    yield f"Held against: {part.source}.\n"
    more = [name for name in rows[0].more if all(name in row.more for row in rows)]
    columns = ["case", part.quantity, "expected", "deviation", "tolerance", "kept", *more]
    yield "| " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * (len(columns) - 1)
    for row in rows:
        yield "| " + " | ".join(_cells(row, more)) + " |"
    yield ""
    missing = len(part.cases) - len(rows)
    if missing:
        yield f"{missing} of its {len(part.cases)} cases have not been run yet.\n"
    if part.chart is not None and len(rows) > 1:
        picture = f"{PICTURES}/verification-{part.name}.png"
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        draw_chart(folder / picture, part.chart(rows))
        yield f"![{part.title}]({picture})\n"


def _cells(row: Row, more: Sequence[str]) -> Iterator[str]:
    yield row.case
    yield _number(row.computed)
    yield _number(row.expected)
    yield "" if row.deviation is None else _share(row.deviation)
    yield "" if row.tolerance is None else _share(row.tolerance).lstrip("+")
    yield {True: "yes", False: "**no**", None: ""}[row.kept]
    yield from (_number(row.more[name]) for name in more)


def _share(value: float) -> str:
    return f"{value:+.1e}" if abs(value) < 1e-4 else f"{100 * value:+.2g} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
