"""Schedules: jobs by the clock."""

from usina_client._model import (
    Page,
    Schedule,
)
from usina_client._request import API, Request, get, idempotent, path_to, query_of
from usina_client._schedule import SchedulePlan, plan_body

from .connection import AsyncConnection
from .input import sent
from .pager import AsyncPager


class AsyncSchedules:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> AsyncPager[Schedule]:
        """The organization's, newest first; `limit` is the size of a page."""
        query = query_of(limit=limit)
        return AsyncPager(self._connection, f"{API}/schedules", query, Page[Schedule])

    async def get(self, schedule_id: str) -> Schedule:
        return await self._connection.fetch(get(path_to("schedules", schedule_id)), Schedule)

    async def create(self, plan: SchedulePlan, *, idempotency_key: str | None = None) -> Schedule:
        """Local inputs of its job are uploaded first, and deleted again if it is refused."""
        async with sent(self._connection, [plan.job], None) as inputs:
            request = Request(
                method="POST",
                path=f"{API}/schedules",
                json=plan_body(plan, inputs[0]),
                headers=idempotent(idempotency_key),
                repeatable=True,
            )
            return await self._connection.fetch(request, Schedule)

    async def replace(self, schedule_id: str, plan: SchedulePlan) -> Schedule:
        """The plan in place of the whole one before."""
        async with sent(self._connection, [plan.job], None) as inputs:
            request = Request(
                method="PUT",
                path=path_to("schedules", schedule_id),
                json=plan_body(plan, inputs[0]),
                repeatable=True,
            )
            return await self._connection.fetch(request, Schedule)

    async def delete(self, schedule_id: str) -> None:
        """It fires no more; the jobs that it made stay."""
        await self._connection.send(
            Request(method="DELETE", path=path_to("schedules", schedule_id))
        )
