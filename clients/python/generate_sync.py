"""Write `usina_client/_sync` from `usina_client/_async`, or with --check say whether it is current.

Only words change: `async` and `await` go, names that start with `Async` lose it, and a short list
of library names gets its blocking counterpart. Needs ruff for the final layout.
"""

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent / "src" / "usina_client"
SOURCE: Final = PACKAGE / "_async"
TARGET: Final = PACKAGE / "_sync"

COUNTERPARTS: Final = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclose": "close",
    "aclosing": "closing",
    "aiter_bytes": "iter_bytes",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "asyncio": "time",
}
HEADER: Final = "# Generated from ../_async/{name} by generate_sync.py: change that file instead.\n"


def blocking(source: str) -> str:
    """The same module without asyncio."""
    lines = source.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        row, start = token.start
        end_row, end = token.end
        if token.type == tokenize.NAME and row == end_row:
            line = lines[row - 1]
            if token.string in {"async", "await"}:
                lines[row - 1] = line[:start] + line[end:].lstrip(" ")
            else:
                lines[row - 1] = line[:start] + _word(token.string) + line[end:]
    return re.sub(r"`async with`", "`with`", "".join(lines))


def _word(name: str) -> str:
    if name in COUNTERPARTS:
        return COUNTERPARTS[name]
    return re.sub(r"^(_*)Async(?=[A-Z])", r"\1", name)


def generated() -> dict[str, str]:
    """Every module of the blocking package by its file name, as it should be."""
    return {
        path.name: _laid_out(HEADER.format(name=path.name) + blocking(path.read_text()), path.name)
        for path in sorted(SOURCE.glob("*.py"))
        if path.name != "__init__.py"
    } | {"__init__.py": '"""The blocking client, generated from `_async` by generate_sync.py."""\n'}


def _laid_out(source: str, name: str) -> str:
    tidy = ["check", "--fix", "--unsafe-fixes", "--select", "I,UP028"]
    for arguments in (tidy, ["format"]):
        ruff = [sys.executable, "-m", "ruff", *arguments, "--quiet"]
        run = subprocess.run(
            [*ruff, "--stdin-filename", str(TARGET / name), "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
        )
        source = run.stdout
    return source


def present() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(TARGET.glob("*.py"))}


def main(arguments: list[str]) -> int:
    expected = generated()
    if arguments == ["--check"]:
        if expected != present():
            sys.stderr.write("_sync is not what _async gives: run generate_sync.py\n")
            return 1
        return 0
    TARGET.mkdir(exist_ok=True)
    for path in TARGET.glob("*.py"):
        path.unlink()
    for name, source in expected.items():
        (TARGET / name).write_text(source)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
