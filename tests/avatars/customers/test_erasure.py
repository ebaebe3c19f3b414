"""A customer who is erased leaves nothing: not a byte, not a row, not in a file of the database."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from tests.avatars.customers.conftest import Studio, a_customer
from tests.avatars.program import photo
from usina.apps.avatars.customer import erasure, store
from usina.apps.avatars.customer.upkeep import finish_erasures, release_uploads
from usina.kernel.db.schema import metadata
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Unavailable
from usina.kernel.events.bus import forget_topic, is_for_workers
from usina.kernel.tenancy.audit import unnoted
from usina.moving import load_tables

load_tables()
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


def everything(tx: Transaction) -> dict[str, str]:
    """Every value of every table, as text."""
    found = {}
    for table in metadata.sorted_tables:
        rows = tx.execute(sa.select(table)).all()
        found[table.name] = "\n".join(
            value.hex() if isinstance(value, bytes) else str(value) for row in rows for value in row
        )
    return found


async def traces(studio: Studio, *words: str) -> list[str]:
    """Where any of the words still is: in a table, in an object's key, or, where the database is a
    file of ours, in its bytes or its log's."""
    tables = await studio.platform.database.read(everything)
    needles = [needle for word in words for needle in (word, word.encode().hex())]
    found = [name for name, text in tables.items() if any(needle in text for needle in needles)]
    found += [key for key in studio.objects() if any(word in key for word in words)]
    for path in studio.platform.settings.data.glob("usina.sqlite*"):
        data = path.read_bytes()
        found += [f"{path.name}: {word}" for word in words if word.encode() in data]
    return found


async def erased(studio: Studio, name: str) -> dict[str, Any]:
    answer = await studio("DELETE", f"/customers/{name}")
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    receipt = await studio.get(answer.headers["location"])
    assert receipt.status_code == 200
    return receipt.json()


async def test_nothing_of_an_erased_customer_is_left(studio: Studio) -> None:
    name, other = f"{a_customer()}-marisol-7731", a_customer()
    headers = {"idempotency-key": "k"}
    first = (await studio.send(name, photo(), headers, style="oil")).json()
    broken = await studio.done(name, photo()[:2000])
    await studio.ended_photo(first)
    kept = await studio.done(other)
    jobs = [first["jobId"], broken["jobId"]]
    files = [(await studio.get(f"/api/v1/jobs/{job}")).json()["inputs"]["photo"] for job in jobs]
    assert await traces(studio, name)
    assert await traces(studio, *jobs)
    before = studio.objects()

    receipt = await erased(studio, name)

    assert await traces(studio, name, *jobs, *files) == []
    assert receipt["rows"]["jobs"] == receipt["rows"]["customer_photos"] == 2
    assert receipt["rows"]["customers"] == receipt["rows"]["idempotency_answers"] == 1
    assert receipt["rows"]["artifacts"] >= 4
    assert receipt["rows"]["events"] >= 6
    gone = {key: size for key, size in before.items() if key not in studio.objects()}
    assert receipt["objects"] >= 3
    assert receipt["object_bytes"] >= sum(gone.values()) - 2 * len(photo())
    assert (await studio.get(f"/customers/{name}")).status_code == 404
    assert (await studio.get(f"/api/v1/jobs/{jobs[0]}")).status_code == 404
    (left,) = (await studio.get("/customers")).json()["items"]
    assert left["customerId"] == other
    assert (await studio.get(kept["generatedPhotoUrl"])).status_code == 200


async def test_asked_again_it_is_the_same_erasure(studio: Studio, rival: Studio) -> None:
    name = a_customer()
    await studio.done(name)

    first = await erased(studio, name)
    again = await erased(studio, name)

    assert first == again
    entries = (await studio.get("/api/v1/audit?action=customer.erased")).json()["items"]
    assert [entry["subject"]["id"] for entry in entries] == [first["customer_digest"]]
    assert (await studio("DELETE", f"/customers/{a_customer()}")).status_code == 404
    found = (await studio.get(f"/api/v1/erasures?customer={name}")).json()["items"]
    assert found == [first]
    assert name not in str(found)
    assert (await rival.get(f"/api/v1/erasures/{first['id']}")).status_code == 404
    assert (await rival.get(f"/api/v1/erasures?customer={name}")).json()["items"] == []
    assert (await studio.get("/api/v1/erasures/none")).status_code == 404
    await studio.done(name)  # whoever comes back is a new customer
    assert (await erased(studio, name))["id"] != first["id"]


async def test_what_runs_and_what_waits_is_cancelled_first(studio: Studio) -> None:
    name = a_customer()
    sent = [await studio.sent(name, style="oil", size="1024") for _ in range(4)]

    receipt = await erased(studio, name)

    assert receipt["rows"]["jobs"] == 4
    assert await traces(studio, name, *(each["jobId"] for each in sent)) == []
    assert studio.objects() == {}


async def test_an_erasure_that_was_cut_off_ends_by_itself(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill between the objects and the rows leaves it: the mark stands, objects are gone."""
    name = a_customer()
    done = await studio.done(name)
    await release_uploads(studio.platform)

    def dies(_place: str) -> None:
        raise Unavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "reach", dies)
        assert (await studio("DELETE", f"/customers/{name}")).status_code == 503
    assert studio.objects() == {}
    assert (await studio.get(f"/customers/{name}")).status_code == 200

    await finish_erasures(studio.platform)

    assert await traces(studio, name, done["jobId"]) == []
    receipt = (await studio.get(f"/api/v1/erasures?customer={name}")).json()["items"][0]
    assert receipt["rows"]["jobs"] == 1


async def test_nothing_is_added_while_a_customer_is_erased(studio: Studio) -> None:
    name, tenant = a_customer(), studio.caller.organization_id
    await studio.done(name)
    await release_uploads(studio.platform)
    before = studio.objects()
    await studio.platform.database.write(
        lambda tx: store.begin_erasing(tx, tenant, name), tenant=tenant
    )

    refused = await studio.send(name)
    kept = await studio("PUT", f"/customers/{name}", json={"retentionDays": 1})

    assert (refused.status_code, refused.json()["code"]) == (409, "customer_erasing")
    assert kept.json()["code"] == "customer_erasing"
    assert studio.objects() == before
    await erased(studio, name)


async def test_a_photo_whose_job_never_came_to_be_is_found(studio: Studio) -> None:
    """As a kill between the upload and its job leaves it."""
    name, tenant = a_customer(), studio.caller.organization_id
    async with studio.platform.files.reception(tenant) as reception:

        async def chunks():
            yield photo()

        file = await reception.take_in("photo", "image/jpeg", chunks())

        def arrive(tx: Transaction) -> None:
            customer = store.ensure_customer(tx, tenant, name, lambda *_, **__: unnoted)
            reception.insert(tx)
            store.insert_photo(tx, customer, file.id, file.id)

        await studio.platform.database.write(arrive, tenant=tenant)
    assert (await studio.get(f"/customers/{name}")).json()["photoCount"] == 0

    receipt = await erased(studio, name)

    assert receipt["rows"]["files"] == receipt["objects"] == 1
    assert await traces(studio, name, file.id) == []


async def test_many_erasures_at_once_are_one(studio: Studio) -> None:
    name = a_customer()
    await studio.done(name)

    answers = await asyncio.gather(*(studio("DELETE", f"/customers/{name}") for _ in range(5)))

    assert {answer.status_code for answer in answers} == {204}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len((await studio.get("/api/v1/erasures")).json()["items"]) == 1


async def test_warm_programs_of_the_organization_are_told_to_leave(studio: Studio) -> None:
    """Their memory has held faces."""
    done = await studio.done(a_customer())

    with studio.platform.bus.listen(forget_topic(studio.caller.organization_id)) as listener:
        await erased(studio, done["customerId"])
        assert await listener.wait(5)
    assert is_for_workers(forget_topic(studio.caller.organization_id))
