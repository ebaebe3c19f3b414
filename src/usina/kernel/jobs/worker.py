"""Workers as operators see and steer them."""

from datetime import timedelta

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import NotFound
from usina.kernel.events.bus import Bus, worker_topic
from usina.kernel.ids import is_id
from usina.kernel.jobs.store.worker import SeenWorker, find, page, set_draining
from usina.kernel.page import Page
from usina.kernel.tenancy.audit import Note, unnoted


class Workers:
    """The service; ``alive`` is how long a worker counts as there after its last heartbeat."""

    def __init__(self, database: Database, bus: Bus, alive: timedelta) -> None:
        self._database = database
        self._bus = bus
        self._alive = alive

    async def list(self, after: str | None, limit: int) -> Page[SeenWorker]:
        """Those that were heard of lately; they belong to no organization."""
        found = await self._database.read(lambda tx: page(tx, self._alive, after, limit + 1))
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def drain(self, worker_id: str, *, draining: bool, note: Note = unnoted) -> SeenWorker:
        """Asks the worker to take nothing more, or to take jobs again; repeating changes nothing.

        The worker is woken, and finds it with its next heartbeat whatever becomes of the wake-up.
        """

        def unit(tx: Transaction) -> SeenWorker | None:
            set_draining(tx, worker_id, draining)
            found = find(tx, self._alive, worker_id)
            if found is not None:
                note(tx)
            return found

        found = await self._database.write(unit) if is_id(worker_id) else None
        if found is None:
            raise NotFound
        self._bus.wake(worker_topic(worker_id))
        return found
