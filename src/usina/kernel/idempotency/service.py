"""Asking twice does once: the same key and body get the first answer again.

The answer is written in the transaction of the effect it tells of, so there is no moment at which
one exists without the other: a process that is killed leaves either both or none, and nothing has
to be taken over after a restart. A request that still runs is known in memory only. Should two
processes run the same key at once, the second one's transaction meets the first one's row and is
undone as a whole.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Invalid, NotFound
from usina.kernel.idempotency.table import idempotency_answers as answers
from usina.kernel.tenancy.caller import owned_by

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_BATCH: Final = 1000
_LONGEST_ROUTE: Final = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response as it is sent and kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """One key that one request of this process is working for."""

    organization_id: str
    route: str
    key: str


class Idempotency:
    """Keeps the first successful answer per organization, route and key for a while."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._kept_for = timedelta(seconds=seconds)
        self._running: set[Claim] = set()

    @contextmanager
    def claim(self, organization_id: str, route: str, key: str) -> Generator[Claim]:
        """Holds the key while the request runs; refused while another request holds it."""
        if _KEY.fullmatch(key) is None:
            raise Invalid.at(
                "/Idempotency-Key", "An Idempotency-Key is 1 to 255 visible ASCII characters."
            )
        if len(route) > _LONGEST_ROUTE:
            raise NotFound
        claim = Claim(organization_id, route, key)
        if claim in self._running:
            raise _in_progress()
        self._running.add(claim)
        try:
            yield claim
        finally:
            self._running.discard(claim)

    async def recall(self, claim: Claim, fingerprint: str) -> Answer | None:
        """The first answer if there was one; refused when that one was to another body."""

        def unit(tx: Transaction) -> sa.Row[tuple[str, int, dict[str, str], bytes]] | None:
            columns = answers.c.fingerprint, answers.c.status, answers.c.headers, answers.c.body
            query = sa.select(*columns).where(_of(claim), answers.c.expires_at > tx.now)
            return tx.execute(query).one_or_none()

        row = await self._database.read(unit, tenant=claim.organization_id)
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise Conflict(
                "This Idempotency-Key was used with another body; take a new key for a new"
                " request.",
                code="idempotency_key_reused",
            )
        return Answer(row.status, row.headers, row.body)

    def record(self, tx: Transaction, claim: Claim, fingerprint: str, answer: Answer) -> None:
        """Keeps the answer if, and only if, this transaction commits.

        What is given here is what a replay sends: a secret that is shown once is left out of it.
        """
        tx.execute(sa.delete(answers).where(_of(claim), answers.c.expires_at <= tx.now))
        row = {
            "organization_id": claim.organization_id,
            "route": claim.route,
            "key": claim.key,
            "fingerprint": fingerprint,
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": answer.body,
            "expires_at": tx.now + self._kept_for,
        }
        try:
            tx.execute(sa.insert(answers), row)
        except IntegrityError as error:
            raise _in_progress() from error

    async def keep(self, claim: Claim, fingerprint: str, answer: Answer) -> None:
        """Keeps the answer in a transaction of its own, where the effect may happen twice."""
        await self._database.write(
            lambda tx: self.record(tx, claim, fingerprint, answer), tenant=claim.organization_id
        )

    async def forget_expired(self) -> None:
        """Deletes the answers whose time is over, a batch at a time."""

        def unit(tx: Transaction) -> int:
            key = answers.c.organization_id, answers.c.route, answers.c.key
            old = sa.select(*key).where(answers.c.expires_at <= tx.now).limit(_BATCH)
            old = old.with_for_update(skip_locked=True)
            return tx.execute(sa.delete(answers).where(sa.tuple_(*key).in_(old))).rowcount

        while await self._database.write(unit) == _BATCH:
            pass


def _of(claim: Claim) -> sa.ColumnElement[bool]:
    return sa.and_(
        owned_by(claim.organization_id, answers),
        answers.c.route == claim.route,
        answers.c.key == claim.key,
    )


def _in_progress() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key still runs; ask again in a moment.",
        code="idempotency_in_progress",
        retry_after_seconds=1,
    )
