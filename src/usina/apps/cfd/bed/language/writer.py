"""From a bed to its `.bed` text, which reads as the same bed."""

from collections.abc import Iterator, Mapping
from typing import Any

from usina.apps.cfd.bed.language.vocabulary import SECTIONS, Dimension, Entry, usual_generator
from usina.apps.cfd.bed.plan import BedPlan


def write_bed(plan: BedPlan) -> str:
    """All that has been said of the bed, in SI units; but for its name, which the format has no
    place for."""
    told = plan.model_dump()
    if plan.generator == usual_generator(plan.packing.method):
        told["generator"] = None
    sections = (_section(name, entries, told) for name, entries in SECTIONS.items())
    return "\n".join(section for section in sections if section)


def _section(name: str, entries: Mapping[str, Entry], told: Mapping[str, Any]) -> str:
    lines = list(_lines(entries, told))
    return "\n".join([f"{name} {{", *lines, "}", ""]) if lines else ""


def _lines(entries: Mapping[str, Entry], told: Mapping[str, Any]) -> Iterator[str]:
    for word, entry in entries.items():
        value: Any = told
        for part in entry.path:
            value = value[part]
        if value is not None:
            unit = f" {entry.value.unit}" if isinstance(entry.value, Dimension) else ""
            yield f"    {word} = {_written(value)}{unit};"


def _written(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case list():
            return "[" + ", ".join(f'"{each}"' for each in value) + "]"  # pyright: ignore[reportUnknownVariableType]
        case _:
            return repr(value)
