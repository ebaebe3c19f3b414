"""What a caller changes is told in the transaction of the change, and the reference lists it."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from tests.docs.page import ROOT
from tests.http.conftest import Api
from tests.identity.conftest import Person
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.tenancy.audit import COMMAND, AuditFilter, AuditLog, record
from usina.kernel.tenancy.service import Tenancy
from usina.kernel.tenancy.table import audit

SOURCE = ROOT / "src"
PAGE = ROOT / "docs" / "reference" / "identity.md"


def test_the_reference_lists_every_action() -> None:
    """An action is a word, a dot and a word in the past, in a call of ``record`` or ``note``."""
    written = set[str]()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        for call in re.finditer(r"\b(?:record|note)\(", text):
            head = text[call.end() : call.end() + 160]
            written |= set(re.findall(r'"([a-z_]+\.[a-z_]+ed)"', head)[:1])
    written |= {"member.left"}
    told = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert written <= told, written - told
    source = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    assert not {action for action in told if f'"{action}"' not in source}


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_stopped_begun_again_and_deleted_is_told(owner: Person) -> None:
    long = {"model": "echo-v1", "params": {"seconds": 60}}
    job = (await owner.post("/jobs", long, 202))["id"]
    await owner("POST", f"/jobs/{job}/cancel")
    await owner("GET", f"/jobs/{job}?wait_seconds=30")
    await owner("POST", f"/jobs/{job}/cancel")
    await owner("POST", f"/jobs/{job}/retry")
    await owner("POST", f"/jobs/{job}/cancel")
    await owner("GET", f"/jobs/{job}?wait_seconds=30")
    assert (await owner("DELETE", f"/jobs/{job}")).status_code == 204
    sent = await owner("POST", "/files", files={"file": ("a.txt", b"12345")})
    file = sent.json()["id"]
    await owner("DELETE", f"/files/{file}")
    plan: dict[str, Any] = {"name": "n", "every_seconds": 3600, "job": {"model": "echo-v1"}}
    schedule = (await owner.post("/schedules", plan))["id"]
    await owner("PUT", f"/schedules/{schedule}", json=plan | {"enabled": False})
    await owner("DELETE", f"/schedules/{schedule}")
    hook: dict[str, Any] = {"url": "http://127.0.0.1/told"}
    endpoint = (await owner.post("/webhooks", hook))["id"]
    await owner("PUT", f"/webhooks/{endpoint}", json=hook)
    rotated = await owner("POST", f"/webhooks/{endpoint}/secret/rotate")
    await owner("DELETE", f"/webhooks/{endpoint}")
    told = (await owner.get("/audit?limit=13"))["items"]
    assert rotated.json()["secret"] not in str(told)
    assert [(entry["action"], entry["subject"]["id"]) for entry in reversed(told)] == [
        ("session.opened", told[-1]["subject"]["id"]),
        ("job.cancelled", job),
        ("job.reopened", job),
        ("job.cancelled", job),
        ("job.deleted", job),
        ("file.deleted", file),
        ("schedule.created", schedule),
        ("schedule.replaced", schedule),
        ("schedule.deleted", schedule),
        ("webhook.created", endpoint),
        ("webhook.replaced", endpoint),
        ("webhook.secret_rotated", endpoint),
        ("webhook.deleted", endpoint),
    ]
    assert {entry["actor"]["name"] for entry in told} == {owner.email}


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_refused_is_not_told(owner: Person, api: Api) -> None:
    theirs = (await api.submit())["id"]
    await api.ended(theirs)
    before = (await owner.get("/audit"))["items"]
    for path in ("cancel", "retry"):
        await owner("POST", f"/jobs/{theirs}/{path}")
    await owner("DELETE", f"/jobs/{theirs}")
    assert (await owner.get("/audit"))["items"] == before


@pytest.mark.asyncio(loop_scope="session")
async def test_what_operators_do_is_in_their_log(operator: Api, api: Api) -> None:
    await operator.post("/api/v1/queues/io/pause")
    await operator.post("/api/v1/queues/io/resume")
    told = (await operator.get("/api/v1/audit?subject_type=queue&limit=2")).json()["items"]
    assert [entry["action"] for entry in told] == ["queue.resumed", "queue.paused"]
    assert told[0]["actor"]["type"] == "key"
    assert (await api.get("/api/v1/audit?subject_type=queue")).json()["items"] == []


async def test_an_entry_stands_or_falls_with_its_change(database: Database) -> None:
    made = await Tenancy(database).create_organization("plant")

    def unit(tx: Transaction) -> None:
        record(tx, made.organization_id, COMMAND, "x.changed", ("x", None))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(unit)
    query = sa.select(audit.c.action).order_by(audit.c.id)
    told = await database.read(lambda tx: list(tx.execute(query).scalars()))
    assert told == ["organization.created", "api_key.created"]


async def test_nobody_reads_or_writes_the_log_of_another(database: Database) -> None:
    """By the filter on both, and on PostgreSQL by the wall as well."""
    first = await Tenancy(database).create_organization("first")
    second = await Tenancy(database).create_organization("second")
    for mine in (first, second):
        page = await AuditLog(database).list(mine.organization_id, AuditFilter(), None, 50)
        names = {(entry.after or {}).get("name") for entry in page.items}
        assert names == {mine.name, "first key"}
