"""A server's OpenAPI as the inputs and parameters of a manifest.

Cog writes one schema ``Input``, whose properties are the arguments of ``predict`` or ``run``, and
one schema ``Output`` (replicate/cog, docs/http.md). Files are strings of the format ``uri``.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

Table = dict[str, Any]

_INPUT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEPT: Final = (
    *("type", "enum", "const", "description", "default", "format", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "items", "properties"),
    *("additionalProperties", "anyOf", "oneOf"),
)
_DEEPEST: Final = 20


class UnknownSchema(Exception):
    """The server's OpenAPI is none of Cog's, or asks for what can not be asked for here."""


@dataclass(frozen=True, slots=True)
class Signature:
    """``inputs`` are tables of the manifest by our names, ``names`` the server's by ours where they
    differ; ``left_out`` are optional arguments that are secrets."""

    version: str
    inputs: Mapping[str, Table]
    params: Mapping[str, Table]
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    files: bool = True
    joined: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def many(self) -> tuple[str, ...]:
        return tuple(name for name, table in self.inputs.items() if table.get("many"))


def signature_of(openapi: object) -> Signature:
    """What the model takes and gives; raises `UnknownSchema`."""
    schemas = _schemas(openapi)
    source = _plain(schemas["Input"], schemas)
    output = _plain(schemas.get("Output", {}), schemas)
    given = cast(Table, source.get("properties", {}))
    needed = set(source.get("required", ()))
    inputs: dict[str, Table] = {}
    params: dict[str, Table] = {}
    names: dict[str, str] = {}
    secret: list[str] = []
    for theirs, schema in sorted(given.items(), key=lambda item: item[1].get("x-order", 0)):
        if _is_secret(schema):
            if theirs in needed:
                raise UnknownSchema(
                    f"Its input {theirs!r} is a secret, which would be seen in every job: "
                    "give it to the server itself."
                )
            secret.append(theirs)
        elif _is_file(schema) or _is_files(schema):
            ours = _input_name(theirs)
            names |= {ours: theirs} if ours != theirs else {}
            inputs[ours] = {"required": theirs in needed}
            inputs[ours] |= {} if _is_file(schema) else {"many": True}
        else:
            params[_parameter_name(theirs)] = _parameter(schema, theirs, theirs in needed)
    return Signature(
        version=_version(source, output),
        inputs=inputs,
        params=params,
        names=names,
        files=_may_hold_files(output),
        joined=output.get("x-cog-array-display") == "concatenate",
        left_out=tuple(secret),
    )


def version_of(openapi: object) -> str:
    """What `signature_of` calls its version; raises `UnknownSchema`."""
    schemas = _schemas(openapi)
    output = _plain(schemas.get("Output", {}), schemas)
    return _version(_plain(schemas["Input"], schemas), output)


def _schemas(openapi: object) -> Table:
    try:
        schemas = cast(Any, openapi)["components"]["schemas"]
        schemas["Input"]["type"]
    except (KeyError, TypeError):
        raise UnknownSchema("Its /openapi.json describes no Input, as Cog's does.") from None
    return schemas


def _version(source: Table, output: Table) -> str:
    text = json.dumps([source, output], sort_keys=True, separators=(",", ":"))
    return "schema-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(schema: Any, schemas: Table, depth: int = 0) -> Any:
    """The schema with what it refers to in its place."""
    if depth > _DEEPEST:
        raise UnknownSchema("Its schema is nested too deep, or refers to itself.")
    if isinstance(schema, list):
        return [_plain(each, schemas, depth + 1) for each in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    table = cast(Table, schema)
    merged: Table = {}
    for part in (table.get("$ref"), *cast(list[Any], table.get("allOf", ()))):
        if isinstance(part, str):
            name = part.rpartition("/")[2]
            merged |= _plain(schemas.get(name, {}), schemas, depth + 1)
        elif part is not None:
            merged |= _plain(part, schemas, depth + 1)
    rest = {k: v for k, v in table.items() if k not in {"$ref", "allOf"}}
    return merged | {key: _plain(value, schemas, depth + 1) for key, value in rest.items()}


def _is_secret(schema: Table) -> bool:
    return bool(schema.get("x-cog-secret")) or schema.get("format") == "password"


def _is_file(schema: Table) -> bool:
    """``anyOf`` with null is how an optional one is written."""
    kinds = [schema, *cast(list[Table], schema.get("anyOf", ()))]
    return any(kind.get("type") == "string" and kind.get("format") == "uri" for kind in kinds)


def _is_files(schema: Table) -> bool:
    kinds = [schema, *cast(list[Table], schema.get("anyOf", ()))]
    return any(k.get("type") == "array" and _is_file(k.get("items") or {}) for k in kinds)


def _may_hold_files(output: Table) -> bool:
    """Also where nothing is said of it."""
    return not output.get("type") or "uri" in set(_formats(output))


def _formats(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        table = cast(Table, schema)
        if isinstance(table.get("format"), str):
            yield table["format"]
        for value in table.values():
            yield from _formats(value)
    elif isinstance(schema, list):
        for value in cast(list[object], schema):
            yield from _formats(value)


def _input_name(theirs: str) -> str:
    ours = theirs.lower().lstrip("_")
    if not _INPUT.fullmatch(ours):
        raise UnknownSchema(f"Its input {theirs!r} has a name that no input can have here.")
    return ours


def _parameter_name(theirs: str) -> str:
    if not _PARAMETER.fullmatch(theirs):
        raise UnknownSchema(f"Its input {theirs!r} has a name that no parameter can have here.")
    return theirs


def _parameter(schema: Table, name: str, needed: bool) -> Table:
    """What JSON Schema and TOML both know of it."""
    kept = {key: schema[key] for key in _KEPT if schema.get(key) is not None}
    kept.setdefault("description", str(schema.get("title") or name))
    kinds = [k for k in cast(list[Table], kept.pop("anyOf", ())) if k.get("type") != "null"]
    if len(kinds) == 1:
        kept |= {key: kinds[0][key] for key in _KEPT if kinds[0].get(key) is not None}
    elif kinds:
        kept["anyOf"] = kinds
    return kept | ({"required": True} if needed else {})
