"""A deliverer on a database whose time the test moves, and jobs that end without a worker."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from tests.clock import FakeClock
from tests.jobs.make import organization, queue, take
from usina.http_kit.job import job_document
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events import cursor
from usina.kernel.events.bus import Bus
from usina.kernel.events.stream import EventStream
from usina.kernel.guard.connect import Resolver
from usina.kernel.guard.reach import Reach
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store import query
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.webhooks.deliver import Deliverer, DeliverOptions
from usina.kernel.webhooks.delivery import Delivery, DeliveryFilter
from usina.kernel.webhooks.endpoint import USUAL_TYPES, Endpoint, EndpointPlan
from usina.kernel.webhooks.post import Poster
from usina.kernel.webhooks.service import Webhooks

LOOPBACK = Reach((ip_network("127.0.0.0/8"),))
SECRET = b"s" * 32
DAY = timedelta(days=1)


def documents(
    tx: Transaction, organization_id: str, job_ids: Sequence[str]
) -> Mapping[str, dict[str, Any]]:
    found = query.find_many(tx, organization_id, job_ids, timedelta(seconds=30))
    return {job.id: job_document(job, lambda _: "") for job in found.values()}


@dataclass
class PostOffice:
    """One organization's webhooks, and a deliverer that turns when it is told."""

    database: Database
    clock: FakeClock
    organization_id: str
    webhooks: Webhooks
    deliverer: Deliverer
    bus: Bus = field(default_factory=Bus)

    async def endpoint(self, url: str, *types: str, own_secret: bool = False) -> Endpoint:
        plan = EndpointPlan(url, types or USUAL_TYPES)
        return await self.webhooks.create(
            self.organization_id, plan, own_secret=own_secret, also=lambda *_: None
        )

    async def job(self, error: JobError | None = None, **fields: Any) -> Job:
        """A job that has ended."""
        [job] = await queue(self.database, self.organization_id, **fields)
        await self.end(error)
        return job

    async def end(self, error: JobError | None = None) -> None:
        """Ends whatever is claimed next."""
        endings = [Ending(claimed.lease, error) for claimed in await take(self.database, 8)]
        await self.database.write(lambda tx: finish(tx, endings, 0, self.bus.announce))

    async def turn(self, seconds: float = 0) -> None:
        """Lets the time pass, and everything that is due then happen."""
        self.clock.advance(seconds)
        await self.deliverer.turn()
        await self.deliverer.settle()

    async def deliveries(self, **wanted: Any) -> list[Delivery]:
        page = await self.webhooks.deliveries(
            self.organization_id, DeliveryFilter(**wanted), None, 200
        )
        return list(page.items)

    async def names(self) -> dict[str, list[tuple[str, int | None]]]:
        """By job the ids and numbers of its events, as its log tells them."""
        log = EventStream(self.database, self.bus)
        epoch, told = await log.epoch(), await log.list(self.organization_id, None, None, 200)
        found: dict[str, list[tuple[str, int | None]]] = {}
        for event in told:
            named = cursor.encode(epoch, event.position), event.seq
            found.setdefault(event.job_id or "", []).append(named)
        return found

    async def secret(self) -> str:
        return (await self.webhooks.secret(self.organization_id)).text


def deliverer_of(
    database: Database,
    clock: FakeClock,
    bus: Bus,
    resolver: Resolver,
    *,
    timeout_seconds: float = 5,
    reach: Reach = LOOPBACK,
    concurrency: int = 16,
) -> Deliverer:
    poster = Poster(reach, resolver, timeout_seconds, now=clock.now)
    options = DeliverOptions(concurrency, timedelta(seconds=60), timedelta(days=5))
    return Deliverer(
        database, bus, clock, poster, documents, lambda a: f"/signed/{a}", SECRET, options
    )


@asynccontextmanager
async def post_office(
    database: Database, clock: FakeClock, **options: Any
) -> AsyncGenerator[PostOffice]:
    bus, resolver = Bus(), Resolver()
    reach = options.get("reach", LOOPBACK)
    deliverer = deliverer_of(database, clock, bus, resolver, **options)
    webhooks = Webhooks(database, bus, reach, documents, SECRET)
    owner = await organization(database)
    try:
        yield PostOffice(database, clock, owner, webhooks, deliverer, bus)
    finally:
        await deliverer.stop()
        resolver.close()
