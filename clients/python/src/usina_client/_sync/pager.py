# Generated from ../_async/pager.py by generate_sync.py: change that file instead.
"""Lists that are fetched as they are read."""

from collections.abc import Iterator
from typing import Generic

from usina_client._model import (
    Item,
    Page,
)
from usina_client._request import Query, get

from .connection import Connection


class Pager(Generic[Item]):
    """Iterate it for every item of the list; `page()` and `pages()` give it in pages."""

    def __init__(
        self, connection: Connection, path: str, query: Query, page: type[Page[Item]]
    ) -> None:
        self._connection = connection
        self._path = path
        self._query = query
        self._page = page

    def page(self, cursor: str | None = None) -> Page[Item]:
        """The page after the cursor, or the first one."""
        query = self._query
        if cursor is not None:
            query = [pair for pair in query if pair[0] != "cursor"] + [("cursor", cursor)]
        return self._connection.fetch(get(self._path, query), self._page)

    def pages(self) -> Iterator[Page[Item]]:
        page = self.page()
        yield page
        while page.next_cursor is not None:
            page = self.page(page.next_cursor)
            yield page

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.items
