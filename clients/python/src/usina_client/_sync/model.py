# Generated from ../_async/model.py by generate_sync.py: change that file instead.
"""The catalogue."""

from usina_client._model import (
    Model,
    Page,
)
from usina_client._request import API, get, path_to, query_of

from .connection import Connection
from .pager import Pager


class Models:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Pager[Model]:
        """Every model, also those that cannot run here; `limit` is the size of a page."""
        return Pager(self._connection, f"{API}/models", query_of(limit=limit), Page[Model])

    def get(self, name: str) -> Model:
        return self._connection.fetch(get(path_to("models", name)), Model)
