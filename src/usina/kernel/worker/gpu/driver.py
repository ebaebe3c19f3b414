"""What the driver's own tool, ``nvidia-smi``, says of the GPUs of this machine."""

import asyncio
import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TOOL: Final = "nvidia-smi"
_SECONDS: Final = 20.0
_MEBIBYTE: Final = 1024**2
_CARD: Final = ("index", "uuid", "name", "memory.total", "memory.used")
_APP: Final = ("gpu_uuid", "pid", "used_memory")
_WORDS: Final = 200


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
class Usage:
    """The memory of a process on a GPU, null where the driver can not tell it."""

    card: str
    pid: int
    bytes: int | None


def installed() -> bool:
    return shutil.which(_TOOL) is not None


async def cards() -> list[Card]:
    """Every GPU that the driver shows; raises `DriverAway`."""
    return [_card(row) for row in await _ask("gpu", _CARD)]


async def usages() -> list[Usage]:
    """Who computes on which GPU; raises `DriverAway`."""
    rows = await _ask("compute-apps", _APP)
    return [Usage(row[0], int(row[1]), _bytes(row[2])) for row in rows if row[1].isdecimal()]


async def _ask(what: str, fields: Sequence[str]) -> list[list[str]]:
    tool = shutil.which(_TOOL)
    if tool is None:
        raise DriverAway("nvidia-smi is not installed")
    arguments = (f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits")
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
    text = said.decode("utf-8", "replace")
    if process.returncode != 0:
        raise DriverAway(_words(text) or f"nvidia-smi ends with {process.returncode}")
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return [row for row in rows if len(row) == len(fields)]


def _card(row: Sequence[str]) -> Card:
    index, id_, name, total, used = (each.strip() for each in row)
    odd = next((each for each in row if _is_fault(each)), None)
    fault = None if odd is None else f"the driver says {odd.strip('[] ')!r} of it"
    return Card(index, id_, name, _bytes(total), _bytes(used), fault)


def _is_fault(told: str) -> bool:
    """What stands in the place of a value: not that there is none, but that the card is ill."""
    return told.strip("[] ").lower() in {"gpu is lost", "unknown error", "err!", "reset required"}


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MEBIBYTE if mebibytes.strip().isdecimal() else None


def _words(text: str) -> str:
    return " ".join(text.split())[:_WORDS]
