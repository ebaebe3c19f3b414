# Generated from ../_async/bed.py by generate_sync.py: change that file instead.
"""Beds and simulations of the flow through them."""

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from usina_client._bed import Bed, BedFile, Simulation
from usina_client._model import Json, Page
from usina_client._request import API, Request, get, idempotent, path_to, post, query_of
from usina_client._upload import Part, Source, Upload

from .connection import Connection
from .follow import changes, end
from .pager import Pager
from .transfer import download


class Beds:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Pager[Bed]:
        """The organization's, newest first; `limit` is the size of a page."""
        return Pager(self._connection, f"{API}/beds", query_of(limit=limit), Page[Bed])

    def get(self, bed_id: str) -> Bed:
        return self._connection.fetch(get(path_to("beds", bed_id)), Bed)

    def create(
        self,
        name: str,
        plan: Mapping[str, Json] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Bed:
        """Its generation has started; `plan` has the fields that are not as they are by default."""
        request = Request(
            method="POST",
            path=f"{API}/beds",
            json={**(plan or {}), "name": name},
            headers=idempotent(idempotency_key),
            repeatable=True,
        )
        return self._connection.fetch(request, Bed)

    def change(self, bed_id: str, fields: Mapping[str, Json]) -> Bed:
        """What is left out stays; another geometry is generated anew."""
        path = path_to("beds", bed_id)
        request = Request(method="PUT", path=path, json=dict(fields), repeatable=True)
        return self._connection.fetch(request, Bed)

    def delete(self, bed_id: str) -> None:
        """With its files, its simulations and their jobs."""
        self._connection.send(Request(method="DELETE", path=path_to("beds", bed_id)))

    def upload(
        self,
        bed_id: str,
        content: Source | Upload,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """A `.bed` text or a plan as JSON changes the bed; a table of particles takes the place of
        a generation; an STL is kept beside."""
        upload = content if isinstance(content, Upload) else Upload.of(content, name, None)
        request = Request(
            method="POST",
            path=path_to("beds", bed_id, "upload"),
            parts=[Part("file", upload)],
            headers=idempotent(idempotency_key),
            repeatable=upload.repeatable,
        )
        self._connection.send(request)

    def files(self, bed_id: str) -> Pager[BedFile]:
        path = path_to("beds", bed_id, "files")
        return Pager(self._connection, path, (), Page[BedFile])

    def download(
        self, bed_id: str, file: BedFile, to: str | os.PathLike[str] | None = None
    ) -> Path:
        """To the path, or into the folder, `to`; the file is there only once its hash is right."""
        path = path_to("beds", bed_id, "files", file.id)
        return download(self._connection, file, path, to, None)

    def simulate(
        self,
        bed_id: str,
        *,
        solver: str | None = None,
        velocity_m_s: float | Sequence[float] | None = None,
        fluid: Mapping[str, Json] | None = None,
        mesh: Mapping[str, Json] | None = None,
        idempotency_key: str | None = None,
    ) -> Simulation:
        """It begins once the bed's particles are there; a list of velocities is one job."""
        told: dict[str, Json] = {"solver": solver, "velocity_m_s": velocity_m_s}
        told |= {"fluid": fluid, "mesh": mesh}
        request = Request(
            method="POST",
            path=path_to("beds", bed_id, "simulations"),
            json={name: value for name, value in told.items() if value is not None},
            headers=idempotent(idempotency_key),
            repeatable=True,
        )
        return self._connection.fetch(request, Simulation)


class Simulations:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self, *, bed: str | None = None, sweep: str | None = None, limit: int | None = None
    ) -> Pager[Simulation]:
        """Newest first; of one bed or sweep only, where one is named."""
        query = query_of(bed=bed, sweep=sweep, limit=limit)
        return Pager(self._connection, f"{API}/simulations", query, Page[Simulation])

    def get(self, simulation_id: str) -> Simulation:
        return self._connection.fetch(get(_path(simulation_id)), Simulation)

    def cancel(self, simulation_id: str) -> Simulation:
        return self._connection.fetch(post(_path(simulation_id, "cancel")), Simulation)

    def watch(self, simulation_id: str, *, every_seconds: float = 1.0) -> Generator[Simulation]:
        """How it is, and again whenever that has changed, until it has ended."""
        return changes(self._connection, _path(simulation_id), Simulation, every_seconds)

    def wait(self, simulation_id: str, *, every_seconds: float = 1.0) -> Simulation:
        """The simulation once it has ended, however."""
        return end(self._connection, _path(simulation_id), Simulation, every_seconds)


def _path(*steps: str) -> str:
    return path_to("simulations", *steps)
