"""The queues, for operators."""

from usina_client._model import (
    Page,
    Queue,
)
from usina_client._request import API, path_to, post, query_of

from .connection import AsyncConnection
from .pager import AsyncPager


class AsyncQueues:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> AsyncPager[Queue]:
        """Every queue by name; `limit` is the size of a page."""
        return AsyncPager(self._connection, f"{API}/queues", query_of(limit=limit), Page[Queue])

    async def pause(self, name: str) -> Queue:
        """It gives nothing out, and what runs goes on. Needs a key of the first organization."""
        return await self._connection.fetch(post(path_to("queues", name, "pause")), Queue)

    async def resume(self, name: str) -> Queue:
        """It gives jobs out again."""
        return await self._connection.fetch(post(path_to("queues", name, "resume")), Queue)
