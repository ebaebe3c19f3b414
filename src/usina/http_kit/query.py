"""Reading query strings strictly: names that are not known and single values given twice are
refused, so that a misspelt filter never means "no filter"."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar, cast
from urllib.parse import parse_qsl

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from usina.http_kit.problem import invalid, pointer, unknown_fields
from usina.kernel.errors import FieldError, Invalid
from usina.kernel.text import refuse_nul

_MOST: Final = 200


def _written(pattern: str, what: str) -> BeforeValidator:
    """Only what is written in one way is read: no blanks, no underscores, no Unix times."""
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if isinstance(value, str) and compiled.fullmatch(value) is None:
            raise PydanticCustomError("written", "This has to be {what}.", {"what": what})
        return value

    return BeforeValidator(check)


Whole = Annotated[int, _written(r"-?[0-9]{1,18}", "a whole number")]
Number = Annotated[
    float, _written(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", "a number"), Field(allow_inf_nan=False)
]
Moment = Annotated[
    AwareDatetime,
    _written(
        r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)",
        "a moment of RFC 3339 with its offset, such as 2026-01-31T12:00:00Z",
    ),
]

_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Moment)


def _read_moment(value: object) -> object:
    return _MOMENT.validate_python(value) if isinstance(value, str) else value


JsonMoment = Annotated[AwareDatetime, BeforeValidator(_read_moment)]
"""The same in a body, where types are strict and JSON has none for moments."""


class Query(BaseModel):
    """The parameters of a route; a tuple field may be repeated.

    ``prefixed`` names the fields that gather parameters by prefix: ``labels`` takes ``label.k=v``
    when ``prefixed()`` says ``{"label.": "labels"}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def prefixed(cls) -> Mapping[str, str]:
        return {}


Q = TypeVar("Q", bound=Query)


def read_query(request: Request, model: type[Q]) -> Q:
    """The query string as the model, each parameter under its own name."""
    text: bytes = request.scope["query_string"]
    return cast(Q, _parsed(text.decode("latin-1"), model))


@lru_cache(maxsize=4096)
def _parsed(text: str, model: type[Query]) -> Query:
    """Clients ask the same again and again, and what a query says never changes."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST, errors="strict")
    except ValueError as error:
        raise Invalid("The query string cannot be read, or has too many parameters.") from error
    try:
        return model.model_validate(_gathered(pairs, model))
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error


def _gathered(pairs: list[tuple[str, str]], model: type[Query]) -> dict[str, Any]:
    fields = model.model_fields
    prefixed = model.prefixed()
    single = {name for name, field in fields.items() if field.default != ()} - {*prefixed.values()}
    found: dict[str, Any] = {}
    for name, value in pairs:
        refuse_nul(name + value, pointer([name]))
        prefix, dot, rest = name.partition(".")
        if dot and (field := prefixed.get(prefix + dot)) is not None:
            _put_once(found.setdefault(field, {}), rest, value, name)
        elif name in single:
            _put_once(found, name, value, name)
        elif name in fields and name not in prefixed.values():
            found.setdefault(name, []).append(value)
        else:
            message = "There is no such parameter here."
            raise unknown_fields([FieldError(pointer([name]), message)])
    return found


def _put_once(into: dict[str, Any], key: str, value: str, name: str) -> None:
    if key in into:
        raise Invalid.at(pointer([name]), f"The parameter {name} is given twice.")
    into[key] = value


def parameters(model: type[Query]) -> list[dict[str, Any]]:
    """The query's description for OpenAPI."""
    schema = model.model_json_schema()
    gathered = {field: prefix for prefix, field in model.prefixed().items()}
    found: list[dict[str, Any]] = []
    for name, described in schema.get("properties", {}).items():
        said: dict[str, Any] = inlined(described, schema.get("$defs", {}))
        parameter = {"in": "query", "name": name, "required": False}
        parameter |= {"description": said.pop("description"), "schema": said}
        if name in gathered:
            parameter |= {"name": f"{gathered[name]}*", "schema": {"type": "string"}}
        found.append(parameter)
    return found


def inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with what it refers to in its place."""
    match schema:
        case {"$ref": str(reference)}:
            return inlined(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            items = cast(dict[str, Any], schema).items()
            return {name: inlined(part, definitions) for name, part in items if name != "title"}
        case list():
            return [inlined(part, definitions) for part in cast(list[Any], schema)]
        case _:
            return schema
