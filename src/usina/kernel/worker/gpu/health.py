"""How a GPU does, by the long report of the driver's tool, ``nvidia-smi -q -x``.

Its fields are those of the tool's manual, nvidia-smi(1); which of them mean that a GPU is not to be
used is by NVIDIA's "GPU Memory Error Management" and, for errors of memory, as DCGM's health checks
judge. A field that a driver does not have says nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError, fromstring

_FAULTS: Final = frozenset({"gpu is lost", "unknown error", "err!", "reset required"})
_VITAL: Final = {
    "fb_memory_usage/used": "memory",
    "utilization/gpu_util": "load",
    "temperature/gpu_temp": "temperature",
}
_ACTIONS: Final = ("reset", "reboot", "drain", "recover")
_ADDRESS: Final = re.compile(r"([0-9A-Fa-f]+):([0-9A-Fa-f]+):([0-9A-Fa-f]+)")
_BEGIN: Final = "<?xml"


@dataclass(frozen=True, slots=True)
class Health:
    """``place`` is its address on the bus, as `place_of` writes it; ``fault`` why it is not to be
    used, for people; ``sound`` whether the driver itself says that nothing is to be done with it,
    which only newer ones (565) tell."""

    id: str
    place: str
    fault: str | None
    sound: bool


def read_health(said: str) -> list[Health] | None:
    """Null where it is no report. What the tool says before it is passed over."""
    try:
        root = fromstring(said[said.index(_BEGIN) :])  # noqa: S314  # by the driver's own tool
    except (ValueError, ParseError):
        return None
    return [_health(gpu) for gpu in root.iterfind("gpu")]


def is_fault(told: str) -> bool:
    """What stands in the place of a value: not that there is none, but that the GPU is ill."""
    return told.strip("[] ").lower() in _FAULTS


def place_of(domain: str, bus: str, device: str) -> str:
    """One writing for addresses whose parts have more or fewer digits; they are hexadecimal."""
    return ":".join(format(int(part, 16), "x") for part in (domain, bus, device))


def _health(gpu: Element) -> Health:
    address = _ADDRESS.match(gpu.get("id", ""))
    place = place_of(*address.groups()) if address else ""
    sound = _text(gpu, "gpu_recovery_action") == "none"
    return Health(_text(gpu, "uuid", raw=True), place, next(_faults(gpu, sound), None), sound)


def _faults(gpu: Element, sound: bool) -> Iterator[str]:
    """The gravest first."""
    for path, name in _VITAL.items():
        if is_fault(told := _text(gpu, path, raw=True)):
            yield f"the driver says {told.strip('[] ')!r} of its {name}"
    action = _text(gpu, "gpu_recovery_action", raw=True)
    if any(word in action.lower() for word in _ACTIONS):
        yield f"the driver asks for this to recover it: {action}"
    if _text(gpu, "gpu_reset_status/reset_required") == "yes":
        yield "the driver says that it has to be reset"
    if _text(gpu, "remapped_rows/remapped_row_failure") == "yes":
        yield "a row of its memory is broken and could not be remapped: it has to be replaced"
    if _text(gpu, "ecc_errors/unrepairable_memory") == "yes":
        yield "its memory can not be repaired: it has to be replaced"
    errors = sum(_uncorrectable(gpu))
    if errors and not sound:
        yield f"its memory had {errors} uncorrectable errors since it was reset last"


def _uncorrectable(gpu: Element) -> Iterator[int]:
    """Since its last reset; by kind of memory, before Ampere as one total."""
    kinds = [each for each in gpu.iterfind("ecc_errors/volatile/*") if "_uncorrect" in each.tag]
    for each in [*kinds, *gpu.iterfind("ecc_errors/volatile/double_bit/total")]:
        if (told := (each.text or "").strip()).isdecimal():
            yield int(told)


def _text(gpu: Element, path: str, *, raw: bool = False) -> str:
    """Empty where it is not there; in small letters unless ``raw``."""
    told = gpu.findtext(path, "").strip()
    return told if raw else told.lower()
