"""A request before it is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from urllib.parse import quote
from uuid import uuid4

from usina_client._model import (
    Json,
)
from usina_client._upload import OnProgress, Part

API: Final = "/api/v1"

Query: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`repeatable`: it may be sent again although the first one may have arrived.

    `silence_seconds` is how long the platform may stay silent, null for the client's own limit;
    `accept` are the statuses besides 2xx that are an answer and not an error.
    """

    method: str
    path: str
    query: Query = ()
    json: Json = None
    fields: Mapping[str, str] | None = None
    parts: Sequence[Part] = ()
    headers: Mapping[str, str] | None = None
    repeatable: bool = False
    silence_seconds: float | None = None
    accept: frozenset[int] = frozenset()
    on_progress: OnProgress | None = None


def get(path: str, query: Query = (), **headers: str) -> Request:
    return Request(method="GET", path=path, query=query, headers=headers, repeatable=True)


def path_to(collection: str, identity: str, *rest: str) -> str:
    """`/api/v1/<collection>/<identity>/...`; an id can name nothing outside its collection."""
    if not identity or identity in {".", ".."}:
        raise ValueError(f"{identity!r} names nothing in {collection}.")
    return "/".join([f"{API}/{collection}", quote(identity, safe=""), *rest])


def post(path: str) -> Request:
    """A deed that may be asked for twice, without a body."""
    return Request(method="POST", path=path, repeatable=True)


def query_of(**values: str | int | float | datetime | Sequence[str] | None) -> Query:
    """Pairs of a query string: null is left out, a list repeats its name."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, datetime):
            pairs.append((name, value.isoformat()))
        elif isinstance(value, str | int | float):
            pairs.append((name, str(value)))
        else:
            pairs.extend((name, each) for each in value)
    return pairs


def idempotent(key: str | None) -> dict[str, str]:
    """The header that makes a creating request safe to repeat; a key is made unless given."""
    return {"Idempotency-Key": key or uuid4().hex}
