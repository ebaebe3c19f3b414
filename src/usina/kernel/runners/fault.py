"""What is wrong with a manifest beyond the shape of its tables."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import jsonschema_rs

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def command_faults(key: str, folder: Path, command: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What keeps ``command`` from being started out of the runner's ``folder``."""
    for place, word in enumerate(command):
        if not word or "\0" in word:
            yield key, f"word {place + 1} is empty or holds a NUL"
        if word.startswith(("/", "-")) or "://" in word:
            continue
        inside = os.path.normpath(folder / word)
        if "/" in word and not inside.startswith(f"{folder}{os.sep}"):
            yield key, f"{word!r} leads out of the runner's folder"
        elif _own_file(place, word) and not os.path.lexists(inside):
            yield key, f"{word!r} is not in the runner's folder"


def _own_file(place: int, word: str) -> bool:
    """Whether a word can only mean a file of the runner itself."""
    return word.endswith((".py", ".sh")) or (place == 0 and "/" in word)


def param_faults(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What keeps ``schema`` from being a parameter's JSON Schema."""
    key = f"params.{name}"
    for reference in _references(schema):
        if not reference.startswith("#"):
            yield key, f"refers to {reference!r}; only references inside the schema are followed"
            return
    try:
        jsonschema_rs.meta.validate({"$schema": _DIALECT, **schema})
        validator = jsonschema_rs.validator_for(schema)
    except jsonschema_rs.ValidationError as error:
        place = ".".join(str(part) for part in error.instance_path)
        yield key, f"no JSON Schema: {place}: {error.message}" if place else error.message
        return
    except ValueError as error:
        yield key, f"no JSON Schema: {error}"
        return
    if "default" in schema and not validator.is_valid(schema["default"]):
        yield key, f"its default {schema['default']!r} does not fit its own schema"


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        table = cast(dict[str, object], schema)
        yield from (str(table[key]) for key in ("$ref", "$dynamicRef") if key in table)
        for value in table.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in cast(list[object], schema):
            yield from _references(value)
