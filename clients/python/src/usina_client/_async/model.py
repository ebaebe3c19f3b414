"""The catalogue."""

from usina_client._model import (
    Model,
    Page,
)
from usina_client._request import API, get, path_to, query_of

from .connection import AsyncConnection
from .pager import AsyncPager


class AsyncModels:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> AsyncPager[Model]:
        """Every model, also those that cannot run here; `limit` is the size of a page."""
        return AsyncPager(self._connection, f"{API}/models", query_of(limit=limit), Page[Model])

    async def get(self, name: str) -> Model:
        return await self._connection.fetch(get(path_to("models", name)), Model)
