"""Lists: ``?limit=&cursor=`` in, ``{"items": [...], "next_cursor": ...}`` out."""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from usina.http_kit.query import Query, Whole
from usina.kernel.errors import Invalid
from usina.kernel.ids import is_id
from usina.kernel.page import Page

D = TypeVar("D")
T = TypeVar("T")

DEFAULT_LIMIT = 50
MOST = 200


class PageQuery(Query):
    limit: Whole = Field(DEFAULT_LIMIT, ge=1, le=MOST, description="How many at most.")
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")


class PageDocument(BaseModel, Generic[D]):
    """One page of a list."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    items: list[D]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


def encode_cursor(kind: str, after: str) -> str:
    """An opaque cursor of one list; ``kind`` names the list."""
    return base64.urlsafe_b64encode(f"{kind}:{after}".encode()).decode().rstrip("=")


def decode_cursor(
    kind: str, cursor: str | None, names: Callable[[str], bool] = is_id
) -> str | None:
    """What to continue after; refused when the cursor is not one of this list.

    Whoever forges one comes no further than here: what it says is what ``names`` something of the
    list, an id unless told.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found, colon, after = base64.b64decode(padded, b"-_", validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        found, colon, after = "", "", ""
    if found != kind or not colon or not names(after):
        raise Invalid.at("/cursor", "This is not a cursor of this list; start without one.")
    return after


def answer_page(kind: str, page: Page[T], document: Callable[[T], object]) -> dict[str, Any]:
    """A page of the list that ``kind`` names, each of its items as ``document`` shows it."""
    more = None if page.next_after is None else encode_cursor(kind, page.next_after)
    return page_document(map(document, page.items), more)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def page_by_name(
    kind: str, query: PageQuery, everything: Sequence[N], document: Callable[[N], object]
) -> dict[str, Any]:
    """The page that is asked for, of a short list that is in the order of its names."""
    after = decode_cursor(kind, query.cursor, bool) or ""
    found = [one for one in everything if one.name > after]
    shown = tuple(found[: query.limit])
    more = shown[-1].name if len(found) > len(shown) else None
    return answer_page(kind, Page(shown, more), document)


def page_document(items: Iterable[object], next_cursor: str | None) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": next_cursor}
