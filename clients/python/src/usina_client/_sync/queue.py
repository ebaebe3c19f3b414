# Generated from ../_async/queue.py by generate_sync.py: change that file instead.
"""The queues, for operators."""

from usina_client._model import (
    Page,
    Queue,
)
from usina_client._request import API, path_to, post, query_of

from .connection import Connection
from .pager import Pager


class Queues:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Pager[Queue]:
        """Every queue by name; `limit` is the size of a page."""
        return Pager(self._connection, f"{API}/queues", query_of(limit=limit), Page[Queue])

    def pause(self, name: str) -> Queue:
        """It gives nothing out, and what runs goes on. Needs a key of the first organization."""
        return self._connection.fetch(post(path_to("queues", name, "pause")), Queue)

    def resume(self, name: str) -> Queue:
        """It gives jobs out again."""
        return self._connection.fetch(post(path_to("queues", name, "resume")), Queue)
