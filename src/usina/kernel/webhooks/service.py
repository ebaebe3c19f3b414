"""Webhooks as the faces see them: endpoints, secrets, deliveries."""

from collections.abc import Callable
from typing import TypeVar

from usina.kernel.db.unit_of_work import Database, Transaction, Unit
from usina.kernel.errors import NotFound
from usina.kernel.events.bus import Bus
from usina.kernel.guard.reach import Reach
from usina.kernel.ids import is_id
from usina.kernel.page import Page
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.webhooks import delivery, endpoint, secret
from usina.kernel.webhooks.deliver import WEBHOOKS_TOPIC
from usina.kernel.webhooks.delivery import TEST, Delivery, DeliveryFilter, NewDelivery
from usina.kernel.webhooks.endpoint import Endpoint, EndpointPlan
from usina.kernel.webhooks.handover import Documents, hand_over_job
from usina.kernel.webhooks.secret import Salts, Secret, secret_text

T = TypeVar("T")


class Webhooks:
    """``platform_secret`` is what every secret is worked out from."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        reach: Reach,
        documents: Documents,
        platform_secret: bytes,
    ) -> None:
        self._database = database
        self._bus = bus
        self._reach = reach
        self._documents = documents
        self._platform_secret = platform_secret

    async def create(
        self,
        organization_id: str,
        plan: EndpointPlan,
        *,
        own_secret: bool,
        also: Callable[[Transaction, Endpoint], None],
    ) -> Endpoint:
        """A new endpoint; what is written by ``also`` is written with it, or neither is."""
        plan.check(self._reach)

        def unit(tx: Transaction) -> Endpoint:
            new = endpoint.create(tx, organization_id, plan, own_secret=own_secret)
            also(tx, new)
            return new

        return await self._changed(organization_id, unit)

    async def get(self, organization_id: str, endpoint_id: str) -> Endpoint:
        _is_one(endpoint_id)
        return await self._database.read(
            lambda tx: endpoint.find(tx, organization_id, endpoint_id), tenant=organization_id
        )

    async def list(self, organization_id: str, after: str | None, limit: int) -> Page[Endpoint]:
        found = await self._database.read(
            lambda tx: endpoint.page(tx, organization_id, after, limit + 1), tenant=organization_id
        )
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def replace(
        self, organization_id: str, endpoint_id: str, plan: EndpointPlan, note: Note = unnoted
    ) -> Endpoint:
        """The plan in place of the one before."""
        _is_one(endpoint_id)
        plan.check(self._reach)

        def unit(tx: Transaction) -> Endpoint:
            replaced = endpoint.replace_plan(tx, organization_id, endpoint_id, plan)
            note(tx)
            return replaced

        return await self._changed(organization_id, unit)

    async def delete(self, organization_id: str, endpoint_id: str, note: Note = unnoted) -> None:
        _is_one(endpoint_id)

        def unit(tx: Transaction) -> None:
            endpoint.delete(tx, organization_id, endpoint_id)
            note(tx)

        await self._changed(organization_id, unit)

    async def test(
        self,
        organization_id: str,
        endpoint_id: str,
        also: Callable[[Transaction, Delivery], None],
    ) -> Delivery:
        """Sends the endpoint one event that tells of nothing, once."""
        _is_one(endpoint_id)

        def unit(tx: Transaction) -> Delivery:
            tried = endpoint.find(tx, organization_id, endpoint_id)
            data = {"endpoint_id": tried.id, "description": tried.plan.description}
            where = (organization_id, tried.id, None, None, None)
            new = NewDelivery(*where, TEST, tx.now, data, tried.plan.url)
            made = delivery.find(tx, organization_id, delivery.add(tx, [new])[0])
            also(tx, made)
            return made

        return await self._changed(organization_id, unit)

    async def secret(self, organization_id: str, endpoint_id: str | None = None) -> Secret:
        """What deliveries are signed with: the organization's, or an endpoint's, whose it is
        unless it has one of its own."""

        def unit(tx: Transaction) -> Secret:
            mine = _owner(tx, organization_id, endpoint_id)
            salts = secret.salts_of(tx, [mine]).get(mine)
            return self._text(tx, salts or secret.organizations_salts(tx, organization_id))

        return await self._database.read(unit, tenant=organization_id)

    async def rotate(
        self, organization_id: str, endpoint_id: str | None = None, note: Note = unnoted
    ) -> Secret:
        """A new secret; the one before signs beside it for a day."""

        def unit(tx: Transaction) -> Secret:
            owner = _owner(tx, organization_id, endpoint_id)
            rotated = self._text(tx, secret.rotate(tx, organization_id, owner))
            note(tx)
            return rotated

        return await self._database.write(unit, tenant=organization_id)

    async def deliveries(
        self, organization_id: str, wanted: DeliveryFilter, after: str | None, limit: int
    ) -> Page[Delivery]:
        found = await self._database.read(
            lambda tx: delivery.page(tx, organization_id, wanted, after, limit + 1),
            tenant=organization_id,
        )
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def delivery(self, organization_id: str, delivery_id: str) -> Delivery:
        _is_one(delivery_id)
        return await self._database.read(
            lambda tx: delivery.find(tx, organization_id, delivery_id), tenant=organization_id
        )

    async def replay(
        self, organization_id: str, delivery_id: str, note: Note = unnoted
    ) -> Delivery:
        """Sends it once more, as often as a new one would be tried."""
        _is_one(delivery_id)

        def unit(tx: Transaction) -> Delivery:
            again = delivery.replay(tx, organization_id, delivery_id)
            note(tx)
            return again

        return await self._changed(organization_id, unit)

    def hand_over(self, tx: Transaction, organization_id: str, job_id: str) -> None:
        """Before a job changes or goes, what is to be told of it is put aside."""
        hand_over_job(tx, organization_id, job_id, self._documents)

    async def _changed(self, organization_id: str, unit: Unit[T]) -> T:
        changed = await self._database.write(unit, tenant=organization_id)
        self._bus.wake(WEBHOOKS_TOPIC)
        return changed

    def _text(self, tx: Transaction, salts: Salts) -> Secret:
        text = secret_text(self._platform_secret, salts.owner_id, salts.salt)
        two = len(salts.signing(tx.now)) > 1
        return Secret(text, salts.previous_until if two else None)


def _owner(tx: Transaction, organization_id: str, endpoint_id: str | None) -> str:
    if endpoint_id is None:
        return organization_id
    _is_one(endpoint_id)
    return endpoint.find(tx, organization_id, endpoint_id).id


def _is_one(text: str) -> None:
    if not is_id(text):
        raise NotFound
