"""Customers as the room's windows see them: photos come in, are looked at, waited for, listed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from usina.apps.avatars.customer import store
from usina.apps.avatars.customer.customer import Customer, Photo, Told
from usina.apps.avatars.customer.engine import commission
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import FieldError, Invalid, NotFound, Problem
from usina.kernel.failpoints import reach
from usina.kernel.files.reception import Reception
from usina.kernel.ids import is_id, new_id
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.page import Page
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note, Values
from usina.kernel.tenancy.caller import Caller

_PLACES: Final = {
    "/inputs/photo": "/photo",
    "/callback_url": "/callbackUrl",
    "/params": "",
    "/model": "",
}


@dataclass(frozen=True, slots=True)
class Customers:
    """The service, for one caller's organization."""

    platform: Platform
    caller: Caller

    @property
    def _organization_id(self) -> str:
        return self.caller.organization_id

    async def receive(
        self,
        name: str,
        reception: Reception,
        params: dict[str, Any],
        callback_url: str | None,
        also: Callable[[Transaction, Job], None],
        note: Told,
    ) -> Job:
        """A photo that has arrived becomes a job; what ``also`` writes is written with it.

        The upload is a photo of its customer from the first commit on, so whatever is killed in
        between, it is found and deleted.
        """
        (file,) = reception.files
        photo_id = new_id()
        made: set[str] = set()

        def remember(
            action: str, before: Values | None = None, after: Values | None = None
        ) -> Note:
            return lambda tx: made.add(action)

        def arrive(tx: Transaction) -> None:
            customer = store.ensure_customer(tx, self._organization_id, name, remember)
            reception.insert(tx)
            store.insert_photo(tx, customer, photo_id, file.id)

        def accept(tx: Transaction, jobs: list[Job]) -> None:
            store.attach_job(tx, self._organization_id, photo_id, jobs[0].id)
            for action in made:
                note(action)(tx)
            note("photo.received")(tx)  # its job's id would outlive an erasure
            also(tx, jobs[0])

        await self.platform.database.write(arrive, tenant=self._organization_id)
        reach("photo.after_arrival")
        model, params = commission(self.platform, params)
        wanted = JobRequest(
            model=model,
            params=params,
            inputs={"photo": file.id},
            callback_url=callback_url,
        )
        try:
            (job,) = await self.platform.jobs.submit(self.caller, [wanted], accept)
        except Problem as problem:
            await self._turn_away(photo_id, file.id)
            raise _as_form(problem) from problem
        return job

    async def _turn_away(self, photo_id: str, file_id: str) -> None:
        """A photo that made no job leaves nothing."""
        await self.platform.database.write(
            partial(store.turn_away, photo_id=photo_id), tenant=self._organization_id
        )
        await self.platform.files.delete(self.caller, file_id)

    async def photo(self, name: str | None, job_id: str, seconds: float = 0) -> tuple[Job, str]:
        """The job of a photo and its customer's name, once it has ended or after ``seconds``; of
        the named customer only, where one is named."""
        if not is_id(job_id):
            raise NotFound
        _, found = await self.platform.database.read(
            partial(
                store.find_photo, organization_id=self._organization_id, job_id=job_id, name=name
            ),
            tenant=self._organization_id,
        )
        jobs = self.platform.jobs
        if seconds:
            return await jobs.wait(self._organization_id, job_id, seconds), found
        return await jobs.get(self._organization_id, job_id), found

    async def photos(self, name: str, after: str | None, limit: int) -> Page[Job]:
        """The jobs of a customer's photos, newest first; one whose job was deleted is left out."""

        def look(tx: Transaction) -> list[Photo]:
            customer = store.find_customer(tx, self._organization_id, name)
            return store.page_of_photos(tx, customer, after, limit + 1)

        found = await self.platform.database.read(look, tenant=self._organization_id)
        shown: list[Job] = []
        for photo in found[:limit]:
            try:
                job_id = photo.job_id or ""
                shown.append(await self.platform.jobs.get(self._organization_id, job_id))
            except NotFound:
                continue
        return Page(tuple(shown), found[limit - 1].id if len(found) > limit else None)

    async def get(self, name: str) -> Customer:
        return await self.platform.database.read(
            lambda tx: store.find_customer(tx, self._organization_id, name),
            tenant=self._organization_id,
        )

    async def list(self, after: str | None, limit: int) -> Page[Customer]:
        found = await self.platform.database.read(
            lambda tx: store.page_of_customers(tx, self._organization_id, after, limit + 1),
            tenant=self._organization_id,
        )
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def keep_for(self, name: str, days: float | None, note: Told) -> Customer:
        """How long the customer's photos stay after they are made; null: as the platform says."""
        return await self.platform.database.write(
            lambda tx: store.set_retention(tx, self._organization_id, name, days, note),
            tenant=self._organization_id,
        )


def _as_form(problem: Problem) -> Problem:
    """A refusal of the job in the places of the form that it came from."""
    if not isinstance(problem, Invalid) or not problem.errors:
        return problem
    moved: list[FieldError] = []
    for error in problem.errors:
        pointer = error.pointer
        for inside, outside in _PLACES.items():
            if pointer.startswith(inside):
                pointer = outside + pointer.removeprefix(inside)
        moved.append(FieldError(pointer, error.message))
    return Invalid(problem.detail, code=problem.code, errors=tuple(moved))
