"""TOML as a manifest needs it: tables of plain values, written so that people can read them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast


def written(tables: Mapping[str, Any]) -> str:
    """Keys of plain values first, then a section for each table."""
    return "\n".join(_lines(tables, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    inner: dict[str, dict[str, Any]] = {}
    for key, value in table.items():
        if isinstance(value, dict) and len(path) < 2:
            inner[key] = cast(dict[str, Any], value)
    if path and (len(inner) < len(table) or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value)}"
    for key, below in inner.items():
        yield from _lines(below, (*path, key))


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "").isalnum() and key.isascii()
    return key if plain else json.dumps(key)


def _value(value: object) -> str:
    if isinstance(value, dict):
        pairs = cast(dict[str, object], value).items()
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in pairs if v is not None) + "}"
    if isinstance(value, list | tuple):
        known = [v for v in cast(list[object], value) if v is not None]
        return "[" + ", ".join(map(_value, known)) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")
