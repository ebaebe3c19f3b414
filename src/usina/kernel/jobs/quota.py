"""What a quota does: submits are refused, jobs wait, bytes are not taken in."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import TooLarge, TooMany
from usina.kernel.events.log import turn_of
from usina.kernel.jobs import usage
from usina.kernel.jobs.job import Job
from usina.kernel.tenancy.quota import Quotas

_FULL_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 10


class JobQuotas:
    """Quotas against what is counted."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas
        self._full: dict[str, tuple[float, bool]] = {}

    async def look(self, organization_id: str) -> None:
        """Before a submit: learns the quotas, and refuses who has no room for what comes of it.

        Raises ``TooLarge`` (``quota_exceeded``).
        """
        await self._quotas.learn()
        limit = self._quotas.of(organization_id).stored_bytes
        if limit is not None and await self._is_full(organization_id, limit):
            raise _no_room(limit)

    async def _is_full(self, organization_id: str, limit: int) -> bool:
        now = asyncio.get_running_loop().time()
        until, full = self._full.get(organization_id, (0.0, False))
        if now >= until:
            stored = await self._database.read(
                lambda tx: usage.stored_bytes(tx, organization_id), tenant=organization_id
            )
            full = stored >= limit
            self._full[organization_id] = (now + _FULL_SECONDS, full)
        return full

    def keep_queue(self, tx: Transaction, organization_ids: Collection[str]) -> None:
        """After jobs were queued, in their transaction: raises ``TooMany`` (``quota_exceeded``)
        where that was too many."""
        for organization_id in organization_ids:
            limit = self._quotas.of(organization_id).queued_jobs
            if limit is not None and usage.queued_jobs(tx, organization_id) > limit:
                raise _too_many(limit)

    def refuse_one_more(self, tx: Transaction, organization_id: str) -> None:
        """Before a job is queued in a transaction that goes on without it."""
        limit = self._quotas.now_of(tx, organization_id).queued_jobs
        if limit is not None:
            take_turns(tx, {turn_of(organization_id)})
            if usage.queued_jobs(tx, organization_id) >= limit:
                raise _too_many(limit)

    def keep_room(self, tx: Transaction, organization_id: str, more_bytes: int) -> None:
        """Before bytes are kept: of two that would pass the quota only together, one is refused.

        Raises ``TooLarge`` (``quota_exceeded``).
        """
        limit = self._quotas.now_of(tx, organization_id).stored_bytes
        if limit is not None:
            take_turns(tx, [f"stored bytes of {organization_id}"])
            if usage.stored_bytes(tx, organization_id) + more_bytes > limit:
                raise _no_room(limit)

    async def told(self, organization_id: str, found: Sequence[Job]) -> list[Job]:
        """The jobs, with the reason of those that wait because others of theirs run."""
        if not any(job.waiting_reason == "slot" for job in found):
            return list(found)
        await self._quotas.learn()
        if self._quotas.of(organization_id).running_jobs is None:
            return list(found)
        return await self._database.read(lambda tx: self.tell(tx, found), tenant=organization_id)

    def tell(self, tx: Transaction, found: Sequence[Job]) -> list[Job]:
        """The same in a transaction, by quotas that were learnt before, of jobs of whomever."""
        waiting = {job.organization_id for job in found if job.waiting_reason == "slot"}
        full = {owner for owner in waiting if self._runs_all_it_may(tx, owner)}
        return [
            replace(job, waiting_reason="quota")
            if job.waiting_reason == "slot" and job.organization_id in full
            else job
            for job in found
        ]

    def _runs_all_it_may(self, tx: Transaction, organization_id: str) -> bool:
        limit = self._quotas.of(organization_id).running_jobs
        return limit is not None and usage.running_jobs(tx, organization_id) >= limit


def _too_many(limit: int) -> TooMany:
    return TooMany(
        f"The organization has a quota of {limit} queued jobs: wait until some have begun, or"
        " cancel some.",
        _AGAIN_SECONDS,
        code="quota_exceeded",
    )


def _no_room(limit: int) -> TooLarge:
    return TooLarge(
        f"The organization has a quota of {limit} stored bytes: delete files or jobs first.",
        code="quota_exceeded",
    )
