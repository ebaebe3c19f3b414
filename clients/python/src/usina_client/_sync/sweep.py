# Generated from ../_async/sweep.py by generate_sync.py: change that file instead.
"""Sweeps: one simulation for each combination of some values."""

from collections.abc import Generator, Mapping, Sequence

from usina_client._bed import Sweep
from usina_client._model import Json, Page
from usina_client._request import API, Request, get, idempotent, path_to, post, query_of

from .connection import Connection
from .follow import changes, end
from .pager import Pager


class Sweeps:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Pager[Sweep]:
        """Newest first; `limit` is the size of a page."""
        path = f"{API}/simulations/sweeps"
        return Pager(self._connection, path, query_of(limit=limit), Page[Sweep])

    def get(self, sweep_id: str) -> Sweep:
        return self._connection.fetch(get(_path(sweep_id)), Sweep)

    def create(
        self,
        over: Mapping[str, Sequence[Json]],
        *,
        bed: Mapping[str, Json] | None = None,
        name: str | None = None,
        solver: str | None = None,
        velocity_m_s: float | Sequence[float] | None = None,
        fluid: Mapping[str, Json] | None = None,
        mesh: Mapping[str, Json] | None = None,
        idempotency_key: str | None = None,
    ) -> Sweep:
        """`over` has the values by field: of the bed (`seed`, `packing.friction`), `velocity_m_s`,
        `fluid.<name>`, `mesh.<name>`. All its beds and simulations are made, or none is."""
        told: dict[str, Json | Sequence[float]] = {"name": name, "solver": solver}
        told |= {"velocity_m_s": velocity_m_s, "fluid": fluid, "mesh": mesh, "bed": bed}
        given = {key: value for key, value in told.items() if value is not None}
        request = Request(
            method="POST",
            path=f"{API}/simulations/sweeps",
            json=given | {"over": dict(over)},
            headers=idempotent(idempotency_key),
            repeatable=True,
        )
        return self._connection.fetch(request, Sweep)

    def cancel(self, sweep_id: str) -> Sweep:
        """With all of its simulations that have not ended; no table is made."""
        return self._connection.fetch(post(_path(sweep_id, "cancel")), Sweep)

    def watch(self, sweep_id: str, *, every_seconds: float = 1.0) -> Generator[Sweep]:
        """How it is, and again whenever that has changed, until it has ended."""
        return changes(self._connection, _path(sweep_id), Sweep, every_seconds)

    def wait(self, sweep_id: str, *, every_seconds: float = 1.0) -> Sweep:
        """The sweep once it has ended, however; then its table and plot are among its artifacts."""
        return end(self._connection, _path(sweep_id), Sweep, every_seconds)


def _path(*steps: str) -> str:
    return path_to("simulations", "sweeps", *steps)
