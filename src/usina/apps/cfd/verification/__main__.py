"""``python -m usina.apps.cfd.verification [PART ...]``: compute what is missing, write the page.

Exit 1 where a figure that was computed is beyond its tolerance, or a case failed.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from usina.apps.cfd.jit import set_threads
from usina.apps.cfd.verification import creeping, empty, inertial, packed
from usina.apps.cfd.verification.page import write_page
from usina.apps.cfd.verification.part import Part, Record
from usina.apps.cfd.verification.program import is_there

_FOLDER = "verification"


def parts() -> list[Part]:
    """Those whose models are there."""
    found = [*creeping.PARTS, *empty.PARTS]
    if is_there(packed.MODEL):
        found += [*packed.PARTS, *inertial.PARTS]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    known = parts()
    parser = argparse.ArgumentParser(prog="python -m usina.apps.cfd.verification")
    parser.add_argument("part", nargs="*", help=f"of {', '.join(part.name for part in known)}")
    parser.add_argument("--again", action="store_true", help="compute what is there already too")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--out", type=Path, default=Path("docs/guides"), metavar="DIR")
    told = parser.parse_args(arguments)
    unknown = set(told.part) - {part.name for part in known}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    set_threads(2)
    records = [Record.read(told.out / _FOLDER / f"{part.name}.json") for part in known]
    failed = 0
    for part, record in zip(known, records, strict=True):
        if not told.page and (not told.part or part.name in told.part):
            failed += _compute(part, record, again=told.again)
    _say(f"written: {write_page(told.out, known, records)}")
    broken = [row for record in records for row in record.rows.values() if row.kept is False]
    return int(bool(failed or broken))


def _compute(part: Part, record: Record, *, again: bool) -> int:
    """The cases that are missing; how many failed."""
    failed = 0
    for name, case in part.cases.items():
        if name in record.rows and not again:
            continue
        began = time.monotonic()
        try:
            row = case()
        except (RuntimeError, OSError) as error:
            _say(f"{part.name} {name}: {error}")
            failed += 1
            continue
        record.keep(name, row)
        _say(f"{part.name} {name}: {row.computed:.6g} in {time.monotonic() - began:.0f} s")
    return failed


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
