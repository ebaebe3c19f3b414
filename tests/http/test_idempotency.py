"""Idempotency over a real database: kept with the effect, or not at all."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import open_sqlite
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Invalid
from usina.kernel.idempotency.service import Answer, Idempotency
from usina.kernel.idempotency.table import idempotency_answers
from usina.kernel.ids import new_id

ROUTE = "POST /api/v1/jobs"
ANSWER = Answer(202, {"location": "/api/v1/jobs/1"}, b'{"id":"1"}')
DAY = 24 * 3600


@pytest.fixture
def service(database: Database) -> Idempotency:
    return Idempotency(database, DAY)


@pytest.fixture
def organization() -> str:
    return new_id()


async def _rows(database: Database) -> int:
    count = sa.select(sa.func.count()).select_from(idempotency_answers)
    return await database.read(lambda tx: tx.execute(count).scalar_one())


async def test_the_first_answer_comes_back(service: Idempotency, organization: str) -> None:
    with service.claim(organization, ROUTE, "k") as claim:
        assert await service.recall(claim, "body") is None
        await service.keep(claim, "body", ANSWER)
    with service.claim(organization, ROUTE, "k") as claim:
        assert await service.recall(claim, "body") == ANSWER


async def test_another_body_is_refused(service: Idempotency, organization: str) -> None:
    with service.claim(organization, ROUTE, "k") as claim:
        await service.keep(claim, "body", ANSWER)
        with pytest.raises(Conflict) as refusal:
            await service.recall(claim, "another")
    assert refusal.value.code == "idempotency_key_reused"


async def test_keys_are_apart_by_organization_route_and_key(
    service: Idempotency, organization: str
) -> None:
    with service.claim(organization, ROUTE, "k") as claim:
        await service.keep(claim, "body", ANSWER)
    others = (new_id(), ROUTE, "k"), (organization, "POST /x", "k"), (organization, ROUTE, "K")
    for other in others:
        with service.claim(*other) as claim:
            assert await service.recall(claim, "body") is None


async def test_a_key_in_work_is_refused_and_then_free(
    service: Idempotency, organization: str
) -> None:
    with service.claim(organization, ROUTE, "k"):
        with (
            pytest.raises(Conflict) as refusal,
            service.claim(organization, ROUTE, "k"),
        ):
            pass
        assert refusal.value.code == "idempotency_in_progress"
        with service.claim(organization, ROUTE, "another"):
            pass
    with service.claim(organization, ROUTE, "k"):
        pass


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nb", "é", "a\x7f", "\x00", "k" * 256])
def test_keys_that_are_none(service: Idempotency, organization: str, key: str) -> None:
    with pytest.raises(Invalid), service.claim(organization, ROUTE, key):
        pass


@pytest.mark.parametrize("key", ["a", "k" * 255, '"quoted"', "!~"])
def test_keys_that_are_some(service: Idempotency, organization: str, key: str) -> None:
    with service.claim(organization, ROUTE, key) as claim:
        assert claim.key == key


async def test_an_undone_effect_leaves_no_answer(
    service: Idempotency, database: Database, organization: str
) -> None:
    with service.claim(organization, ROUTE, "k") as claim:

        def unit(tx: Transaction) -> None:
            service.record(tx, claim, "body", ANSWER)
            raise RuntimeError("killed before the commit")

        with pytest.raises(RuntimeError):
            await database.write(unit)
    assert await _rows(database) == 0


async def test_two_processes_at_once_do_it_once(
    service: Idempotency, database: Database, organization: str
) -> None:
    other = Idempotency(database, DAY)
    with (
        service.claim(organization, ROUTE, "k") as mine,
        other.claim(organization, ROUTE, "k") as theirs,
    ):
        assert await service.recall(mine, "body") is None
        assert await other.recall(theirs, "body") is None
        await service.keep(mine, "body", ANSWER)
        with pytest.raises(Conflict) as refusal:
            await other.keep(theirs, "body", Answer(202, {}, b"second"))
    assert refusal.value.code == "idempotency_in_progress"
    with other.claim(organization, ROUTE, "k") as claim:
        assert await other.recall(claim, "body") == ANSWER


async def test_after_a_day_the_key_is_new(
    service: Idempotency, database: Database, clock: FakeClock, organization: str
) -> None:
    with service.claim(organization, ROUTE, "k") as claim:
        await service.keep(claim, "body", ANSWER)
        clock.moment += timedelta(seconds=DAY - 1)
        assert await service.recall(claim, "body") == ANSWER
        clock.moment += timedelta(seconds=1)
        assert await service.recall(claim, "another") is None
        await service.keep(claim, "another", ANSWER)
        assert await service.recall(claim, "another") == ANSWER
    assert await _rows(database) == 1


async def test_what_has_expired_is_forgotten(
    service: Idempotency, database: Database, clock: FakeClock, organization: str
) -> None:
    with service.claim(organization, ROUTE, "old") as claim:
        await service.keep(claim, "body", ANSWER)
    clock.moment += timedelta(seconds=DAY)
    with service.claim(organization, ROUTE, "new") as claim:
        await service.keep(claim, "body", ANSWER)
    await service.forget_expired()
    assert await _rows(database) == 1


async def test_answers_survive_a_restart(
    tmp_path: Path, clock: FakeClock, organization: str
) -> None:
    first_life = open_sqlite(tmp_path, clock)
    first = Idempotency(first_life, DAY)
    with first.claim(organization, ROUTE, "k") as claim:
        await first.keep(claim, "body", ANSWER)
    await first_life.close()
    second_life = open_sqlite(tmp_path, clock)
    second = Idempotency(second_life, DAY)
    with second.claim(organization, ROUTE, "k") as claim:
        assert await second.recall(claim, "body") == ANSWER
    await second_life.close()
