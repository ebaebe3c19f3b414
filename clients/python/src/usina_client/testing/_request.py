"""A request as the platform in memory reads it, and its answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

from pydantic import JsonValue, TypeAdapter, ValidationError

from usina_client.testing._job import Document

_OBJECT: TypeAdapter[Document] = TypeAdapter(Document)
_TITLES = {400: "Bad Request", 404: "Not Found", 409: "Conflict", 422: "Unprocessable Content"}


class Refusal(Exception):
    """A problem document instead of an answer."""

    def __init__(
        self, status: int, code: str, detail: str, *, pointer: str | None = None, **headers: str
    ) -> None:
        super().__init__(detail)
        problem: Document = {
            "type": "about:blank",
            "title": _TITLES.get(status, "Refused"),
            "status": status,
            "code": code,
            "detail": detail,
            "request_id": "in-memory",
        }
        if pointer is not None:
            problem["errors"] = [{"pointer": pointer, "message": detail}]
        body = json.dumps(problem).encode()
        self.answer = Answer(status, body, {"content-type": "application/problem+json"} | headers)


def not_found() -> NoReturn:
    raise Refusal(404, "not_found", "There is nothing here.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def as_json(document: JsonValue, status: int = 200, **headers: str) -> Answer:
    body = json.dumps(document).encode()
    return Answer(status, body, {"content-type": "application/json"} | headers)


def page(documents: Sequence[Document], query: Mapping[str, str], key: str = "id") -> Answer:
    """The part of a list that is asked for; its cursor is the last one's id."""
    start = 0
    if (cursor := query.get("cursor")) is not None:
        places = [place for place, each in enumerate(documents) if each[key] == cursor]
        if not places:
            raise Refusal(422, "invalid", "This is no cursor of this list.", pointer="/cursor")
        start = places[0] + 1
    limit = int(query.get("limit", "50"))
    shown = list(documents[start : start + limit])
    more = shown[-1][key] if start + limit < len(documents) else None
    return as_json({"items": list(shown), "next_cursor": more})


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart body; ``name`` is null for a plain field."""

    field: str
    name: str | None
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Seen":
        path, _, query = target.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        return cls(method, unquote(path).rstrip("/"), pairs, headers, body)

    @property
    def is_form(self) -> bool:
        return self.headers.get("content-type", "").startswith("multipart/form-data")

    def json(self) -> Document:
        try:
            return _OBJECT.validate_json(self.body)
        except ValidationError:
            raise Refusal(400, "malformed", "The body is no JSON object.") from None

    def parts(self) -> list[Part]:
        """Of a multipart body as HTTP libraries make them."""
        boundary = _parameter(self.headers["content-type"], "content-type", "boundary")
        mark = b"--" + boundary.encode()
        sections = (b"\r\n" + self.body).split(b"\r\n" + mark)[1:-1]
        return [_part(section) for section in sections]


def _part(section: bytes) -> Part:
    head, _, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = dict(_header(line) for line in head.decode().split("\r\n"))
    disposition = headers["content-disposition"]
    name = _parameter(disposition, "content-disposition", "filename")
    media_type = headers.get("content-type", "application/octet-stream")
    field_name = _parameter(disposition, "content-disposition", "name")
    return Part(field_name, name or None, media_type, content)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _parameter(value: str, header: str, name: str) -> str:
    """Empty where the header has none of that name."""
    message = Message()
    message[header] = value
    found = message.get_param(name, "", header)
    return found if isinstance(found, str) else found[2]
