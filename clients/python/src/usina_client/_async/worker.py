"""The workers, for operators."""

from usina_client._model import (
    Page,
    Worker,
)
from usina_client._request import API, path_to, post, query_of

from .connection import AsyncConnection
from .pager import AsyncPager


class AsyncWorkers:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> AsyncPager[Worker]:
        """Those that were heard of lately, newest first; `limit` is the size of a page."""
        return AsyncPager(self._connection, f"{API}/workers", query_of(limit=limit), Page[Worker])

    async def drain(self, worker_id: str) -> Worker:
        """It takes nothing more, and finishes what runs. Needs a key of the first organization."""
        return await self._connection.fetch(post(path_to("workers", worker_id, "drain")), Worker)

    async def resume(self, worker_id: str) -> Worker:
        """It takes jobs again."""
        return await self._connection.fetch(post(path_to("workers", worker_id, "resume")), Worker)
