"""Reading JSON bodies strictly: what two parsers could read in two ways is refused."""

import asyncio
import json
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from usina.http_kit.problem import invalid
from usina.http_kit.query import inlined
from usina.kernel.errors import Malformed, TooLarge, UnsupportedMedia

M = TypeVar("M", bound=BaseModel)

_SMALL: Final = 64 * 1024


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The description of a JSON body for OpenAPI."""
    schema = model.model_json_schema()
    whole = inlined(schema, schema.pop("$defs", {}))
    content = {"application/json": {"schema": whole}}
    return {"requestBody": {"required": True, "content": content}}


def media_type(request: Request) -> str:
    """The request's own media type in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, adapter: TypeAdapter[M], max_bytes: int) -> tuple[M, bytes]:
    """The body as the model, and as it came; a large one is parsed beside the event loop."""
    body = await _read(request, max_bytes)
    if len(body) <= _SMALL:
        return validated(adapter, parse_json(body)), body
    return await asyncio.to_thread(lambda: validated(adapter, parse_json(body))), body


async def _read(request: Request, max_bytes: int) -> bytes:
    if media_type(request) != "application/json":
        raise UnsupportedMedia("Send the body with Content-Type: application/json.")
    if "content-encoding" in request.headers:
        raise UnsupportedMedia("Send the body as it is, without a Content-Encoding.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text.

    Refused as malformed: what RFC 8259 does not allow, NaN and infinities by name or by size, lone
    surrogates, nesting beyond 200 levels, and names that stand twice in one object.
    """
    try:
        from_json(body, allow_inf_nan=False)
        return json.loads(
            body.decode(), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_constant
        )
    except ValueError as error:
        raise Malformed(f"The body is not valid JSON: {error}.") from error


def validated(adapter: TypeAdapter[M], value: Any) -> M:
    """The value as the model; refused with a pointer for each wrong place."""
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"A JSON body has at most {max_bytes} bytes (USINA_MAX_BODY_BYTES).")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"the name {twice[:64]!r} stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")
