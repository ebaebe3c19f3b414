"""What the driver's own tool, ``nvidia-smi``, says of the GPUs of this machine."""

import asyncio
import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from usina.kernel.worker.gpu.health import Health, is_fault, read_health

_TOOL: Final = "nvidia-smi"
_SECONDS: Final = 20.0
_MEBIBYTE: Final = 1024**2
_CARD: Final = ("index", "uuid", "name", "memory.total", "memory.used")
_APP: Final = ("gpu_uuid", "pid", "used_memory")
_WORDS: Final = 200
_UNREACHED: Final = "Unable to determine the device handle"
"""Of a GPU that fell off the bus, beside the answers of the others; the exit code is not 0 then."""


class DriverAway(Exception):
    """The tool is not there or does not answer; the message is what it says."""


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU. Bytes are null where the driver can not tell them; ``fault`` is what it says of one
    that does not answer."""

    index: str
    id: str
    name: str
    memory_bytes: int | None
    used_bytes: int | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """Every GPU that the driver shows. ``unreached`` is what it says of one that it knows of and
    does not reach, without its name; null where it reaches all."""

    shown: Sequence[Card]
    unreached: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The memory of a process on a GPU, null where the driver can not tell it."""

    card: str
    pid: int
    bytes: int | None


def installed() -> bool:
    return shutil.which(_TOOL) is not None


async def cards() -> Cards:
    """Raises `DriverAway`."""
    rows, said = await _table("gpu", _CARD)
    lines = (line.strip() for line in said.splitlines())
    return Cards([_card(row) for row in rows], next(filter(_is_unreached, lines), None))


async def usages() -> list[Usage]:
    """Who computes on which GPU; raises `DriverAway`."""
    rows, _ = await _table("compute-apps", _APP)
    return [Usage(row[0], int(row[1]), _bytes(row[2])) for row in rows if row[1].isdecimal()]


async def health() -> list[Health]:
    """How each GPU that it reaches does; raises `DriverAway`."""
    code, said = await _ask("-q", "-x")
    found = read_health(said)
    if found is None:
        raise DriverAway(_words(said) or f"nvidia-smi ends with {code}")
    return found


async def _table(what: str, fields: Sequence[str]) -> tuple[list[list[str]], str]:
    """The rows, and all that was said."""
    code, said = await _ask(f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits")
    read = csv.reader(said.splitlines(), skipinitialspace=True)
    rows = [row for row in read if len(row) == len(fields)]
    if code != 0 and not rows:
        raise DriverAway(_words(said) or f"nvidia-smi ends with {code}")
    return rows, said


async def _ask(*arguments: str) -> tuple[int, str]:
    """Its exit code, and its output and errors as one."""
    tool = shutil.which(_TOOL)
    if tool is None:
        raise DriverAway("nvidia-smi is not installed")
    process = await asyncio.create_subprocess_exec(
        *(tool, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        raise DriverAway(f"nvidia-smi gives no answer within {_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode("utf-8", "replace")


def _card(row: Sequence[str]) -> Card:
    index, id_, name, total, used = (each.strip() for each in row)
    odd = next((each for each in row if is_fault(each)), None)
    fault = None if odd is None else f"the driver says {odd.strip('[] ')!r} of it"
    return Card(index, id_, name, _bytes(total), _bytes(used), fault)


def _is_unreached(line: str) -> bool:
    return line.startswith(_UNREACHED)


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MEBIBYTE if mebibytes.strip().isdecimal() else None


def _words(text: str) -> str:
    return " ".join(text.split())[:_WORDS]
