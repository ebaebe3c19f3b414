# Generated from ../_async/worker.py by generate_sync.py: change that file instead.
"""The workers, for operators."""

from usina_client._model import (
    Page,
    Worker,
)
from usina_client._request import API, path_to, post, query_of

from .connection import Connection
from .pager import Pager


class Workers:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Pager[Worker]:
        """Those that were heard of lately, newest first; `limit` is the size of a page."""
        return Pager(self._connection, f"{API}/workers", query_of(limit=limit), Page[Worker])

    def drain(self, worker_id: str) -> Worker:
        """It takes nothing more, and finishes what runs. Needs a key of the first organization."""
        return self._connection.fetch(post(path_to("workers", worker_id, "drain")), Worker)

    def resume(self, worker_id: str) -> Worker:
        """It takes jobs again."""
        return self._connection.fetch(post(path_to("workers", worker_id, "resume")), Worker)
