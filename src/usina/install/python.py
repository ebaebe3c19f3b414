"""The Python that a model's environment is made with."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from usina.install.place import InstallError

_CLAUSE: Final = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)(\.\*)?\s*")
_NEWEST: Final = 20


def python_for(wanted: str | None, told: str | None = None) -> str:
    """An interpreter of a version that will do: ``told``, the platform's, or one on PATH."""
    seen: list[str] = []
    for program in [told] if told else _candidates():
        version = _version(program)
        if version is None:
            continue
        if wanted is None or fits(version, wanted):
            return program
        seen.append(".".join(map(str, version)))
    if told:
        here = f"it is {seen[0]}" if seen else "it is none"
        raise InstallError(f"--python {told}: Python {wanted} is needed, and {here}.")
    raise InstallError(
        f"Python {wanted} is needed, and here is {', '.join(dict.fromkeys(seen)) or 'none'}. "
        "Install it, or name one with --python."
    )


def fits(version: tuple[int, ...], wanted: str) -> bool:
    """Whether a version is among those of ``>=3.10,<3.13``; a clause that can not be read is no."""
    return all(_holds(version, clause) for clause in wanted.split(",") if clause.strip())


def _holds(version: tuple[int, ...], clause: str) -> bool:
    read = _CLAUSE.fullmatch(clause)
    if read is None:
        return False
    sign, other = read[1], tuple(int(part) for part in read[2].split("."))
    if sign in ("==", "!="):
        same = version[: len(other)] == other if read[3] else _whole(version) == _whole(other)
        return same == (sign == "==")
    mine, bound = _whole(version), _whole(other)
    return {">=": mine >= bound, "<=": mine <= bound, ">": mine > bound, "<": mine < bound}[sign]


def _whole(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, 0, 0, 0)[:3]


def _candidates() -> Iterator[str]:
    yield sys.executable
    for minor in range(_NEWEST, 7, -1):
        if (found := shutil.which(f"python3.{minor}")) is not None:
            yield found


def _version(program: str) -> tuple[int, ...] | None:
    ask = "import sys; print(*sys.version_info[:3])"
    try:
        said = subprocess.run(
            [program, "-I", "-c", ask], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(int(part) for part in said.stdout.split())
