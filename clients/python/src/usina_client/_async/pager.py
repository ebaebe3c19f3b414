"""Lists that are fetched as they are read."""

from collections.abc import AsyncIterator
from typing import Generic

from usina_client._model import (
    Item,
    Page,
)
from usina_client._request import Query, get

from .connection import AsyncConnection


class AsyncPager(Generic[Item]):
    """Iterate it for every item of the list; `page()` and `pages()` give it in pages."""

    def __init__(
        self, connection: AsyncConnection, path: str, query: Query, page: type[Page[Item]]
    ) -> None:
        self._connection = connection
        self._path = path
        self._query = query
        self._page = page

    async def page(self, cursor: str | None = None) -> Page[Item]:
        """The page after the cursor, or the first one."""
        query = self._query
        if cursor is not None:
            query = [pair for pair in query if pair[0] != "cursor"] + [("cursor", cursor)]
        return await self._connection.fetch(get(self._path, query), self._page)

    async def pages(self) -> AsyncIterator[Page[Item]]:
        page = await self.page()
        yield page
        while page.next_cursor is not None:
            page = await self.page(page.next_cursor)
            yield page

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page.items:
                yield item
