"""Words of the command line as a job's parameters and inputs, read by the model's schemas."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import typer
from pydantic import JsonValue

from usina_client import InputValue

Schema: TypeAlias = Mapping[str, JsonValue]

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TRUTH: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_BOUNDS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matching {}",
}
_ARTICLES: Final = {
    "array": "a JSON array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "a JSON object",
    "string": "a text",
}


class Entry(Protocol):
    """A model of a catalogue: the platform's, or one out of a folder."""

    @property
    def name(self) -> str: ...
    @property
    def input_schema(self) -> Mapping[str, Any]: ...
    @property
    def params_schema(self) -> Mapping[str, Any]: ...


def read_params(model: Entry, pairs: Sequence[str]) -> dict[str, JsonValue]:
    """Each K=V with V as the type that the schema gives K; BadParameter says what is wrong."""
    known = properties(model.params_schema)
    params: dict[str, JsonValue] = {}
    for pair in pairs:
        name, value = _split(pair, "--param", "K=V")
        if name not in known:
            raise _unknown("parameter", name, known, model.name, "--param")
        if name in params:
            raise typer.BadParameter(f"{name} is given twice.", param_hint="--param")
        params[name] = _value(name, value, known[name])
    return params


def read_inputs(model: Entry, pairs: Sequence[str]) -> dict[str, InputValue | list[InputValue]]:
    """Each INPUT=FILE; a name given more than once is a list, an id stands for itself."""
    known = properties(model.input_schema)
    given: dict[str, list[InputValue]] = {}
    for pair in pairs:
        name, value = _split(pair, "INPUT=FILE", "INPUT=FILE")
        if name not in known:
            raise _unknown("input", name, known, model.name, "INPUT=FILE")
        given.setdefault(name, []).append(_input(name, value))
    missing = [name for name in required(model.input_schema) if name not in given]
    if missing:
        wanted = " ".join(f"{name}=FILE" for name in missing)
        raise typer.BadParameter(f"{model.name} needs {wanted}.", param_hint="INPUT=FILE")
    return {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def read_files(model: Entry, pairs: Sequence[str]) -> dict[str, list[Path]]:
    """Each INPUT=FILE as files of this machine: where no platform is, an id means nothing."""
    files: dict[str, list[Path]] = {}
    for name, value in read_inputs(model, pairs).items():
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, Path):
                raise typer.BadParameter(
                    f"{name}: {each!r} is no file here.", param_hint="INPUT=FILE"
                )
            files.setdefault(name, []).append(each)
    return files


def explain(error: Exception, pointers: Iterable[str], model: Entry) -> None:
    """Notes to a refusal, for each pointer to a parameter: what the model takes there."""
    known = properties(model.params_schema)
    for pointer in pointers:
        name = pointer.removeprefix("/params/")
        if name in known:
            error.add_note(f"{name} takes {described(known[name])}.")


def described(schema: JsonValue) -> str:
    """A parameter's type and bounds in words: "an integer, at least 256, at most 4096"."""
    if not isinstance(schema, dict):
        return "any value"
    choices = schema.get("enum")
    if isinstance(choices, list):
        return "one of " + ", ".join(_shown(choice) for choice in choices)
    words = [" or ".join(_ARTICLES.get(kind, kind) for kind in _types(schema))]
    words += [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    return ", ".join(words)


def properties(schema: Schema) -> Mapping[str, JsonValue]:
    """The members of an object's schema."""
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def required(schema: Schema) -> list[str]:
    """The names that must be given."""
    found = schema.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _split(pair: str, hint: str, form: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{pair!r} is not of the form {form}.", param_hint=hint)
    return name, value


def _unknown(
    what: str, name: str, known: Iterable[str], model: str, hint: str
) -> typer.BadParameter:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        help_ = f"Did you mean {' or '.join(close)}?"
    else:
        help_ = f"It has: {', '.join(names)}." if names else "It has none."
    return typer.BadParameter(f"{model} has no {what} {name!r}. {help_}", param_hint=hint)


def _input(name: str, value: str) -> InputValue:
    path = Path(value).expanduser()
    if path.is_file():
        return path
    if _UUID.fullmatch(value):
        return value
    reason = "is a folder" if path.is_dir() else "does not exist"
    raise typer.BadParameter(f"{name}: {value!r} {reason}.", param_hint="INPUT=FILE")


def _value(name: str, text: str, schema: JsonValue) -> JsonValue:
    """The first of the schema's types that the text can be; texts come last."""
    types = _types(schema) if isinstance(schema, dict) else []
    for kind in sorted(types, key=lambda kind: kind == "string"):
        try:
            return _read(kind, text)
        except (ValueError, RecursionError):
            continue
    raise typer.BadParameter(
        f"{name} must be {described(schema)}, not {text!r}.", param_hint="--param"
    )


def _read(kind: str, text: str) -> JsonValue:
    """The text as a value of a JSON type; ValueError where it is none."""
    if kind == "string":
        return text
    if kind == "boolean" and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    value: JsonValue = json.loads(text, parse_float=_finite, parse_constant=_finite)
    if kind not in _kinds_of(value):
        raise ValueError(f"{text!r} is no {kind}")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON")
    return value


def _types(schema: Mapping[str, JsonValue]) -> list[str]:
    """The JSON types that a schema allows, through `anyOf`, `oneOf`, `const` and `enum` too."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return [declared]
    if isinstance(declared, list):
        return [kind for kind in declared if isinstance(kind, str)]
    found: list[str] = []
    for key in ("anyOf", "oneOf"):
        branches = schema.get(key)
        for branch in branches if isinstance(branches, list) else []:
            found += _types(branch) if isinstance(branch, dict) else []
    values = schema.get("enum")
    for value in values if isinstance(values, list) else []:
        found.append(_kinds_of(value)[-1])
    return list(dict.fromkeys(found)) or ["null", "boolean", "number", "array", "object", "string"]


def _kinds_of(value: JsonValue) -> tuple[str, ...]:
    """The JSON types that a value has, the narrowest first."""
    match value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case int():
            return ("integer", "number")
        case float():
            return ("integer", "number") if value.is_integer() else ("number",)
        case str():
            return ("string",)
        case list():
            return ("array",)
        case _:
            return ("object",)


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
