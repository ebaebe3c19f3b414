"""Every route that changes something, found in the OpenAPI document: what the audit log says of it.

Each is called once and does what it does. A route without a row here fails.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import pytest
import sqlalchemy as sa

from tests.avatars.program import astronaut, photo
from tests.identity.conftest import PASSWORD, Api, Person, Running, register
from usina.faces.http.app import create_api
from usina.kernel.tenancy.table import audit

pytestmark = pytest.mark.asyncio(loop_scope="session")

V1: Final = "/api/v1"
BEGUN: Final = ()
"""Nothing: that work is begun is told by the event log and by the thing itself."""

ROUTINE: Final = ()
"""Nothing: what a program does every few minutes changes no more than times."""

OWNER, GUEST, NOBODY, OPERATOR = "owner", "guest", "nobody", "operator"
LONG: Final = {"model": "echo-v1", "params": {"seconds": 600}}
PLAN: Final = {"name": "n", "every_seconds": 3600, "job": {"model": "echo-v1"}}
BED: Final[dict[str, Any]] = {
    "name": "told",
    "generator": "spheres-v1",
    "particle_count": 60,
}
HOOK: Final = {"url": "http://127.0.0.1/told"}

Known = dict[str, str]


@dataclass
class Desk:
    """Who calls, and what is known by now, by the names in paths and in answers."""

    owner: Person
    guest: Person
    operator: Api
    known: Known = field(default_factory=Known)

    async def ask(self, method: str, path: str, by: str = OWNER, **more: Any) -> httpx2.Response:
        people = {OWNER: self.owner, GUEST: self.guest}
        headers = {"x-api-key": self.operator.key} if by == OPERATOR else {}
        if by in people:
            headers = {"authorization": f"Bearer {people[by].tokens['access_token']}"}
        return await self.owner.client.request(method, path, headers=headers, **more)

    async def cancelled(self) -> None:
        path = f"{V1}/jobs/{self.known['job_id']}"
        await self.ask("POST", f"{path}/cancel")
        await self.ended()

    async def ended(self) -> None:
        job = (await self.ask("GET", f"{V1}/jobs/{self.known['job_id']}?wait_seconds=30")).json()
        assert job["finished_at"]


@dataclass(frozen=True)
class Deed:
    """One call of a route, and the actions that the log has of it afterwards.

    ``keeps`` names what of the answer is known from then on, and where; ``first`` is done before.
    """

    way: str
    actions: tuple[str, ...]
    json: Callable[[Known], object] | None = None
    by: str = OWNER
    keeps: dict[str, str] = field(default_factory=dict[str, str])
    first: Callable[[Desk], Awaitable[None]] | None = None
    more: Callable[[], dict[str, Any]] = dict
    at: str | None = None
    """The name of the address, where that is not the route's own."""


def file_of(name: str, data: bytes) -> Callable[[], dict[str, Any]]:
    return lambda: {"files": {name: ("a.png", data)}}


DEEDS: Final = (
    Deed(
        f"POST {V1}/auth/register",
        ("member.joined", "organization.created"),
        lambda known: {"email": known["email"], "password": PASSWORD, "organization": "told"},
        NOBODY,
    ),
    Deed(
        f"POST {V1}/auth/login",
        ("session.opened",),
        lambda known: {"email": known["email"], "password": PASSWORD},
        NOBODY,
        {"refresh_token": "refresh_token"},
    ),
    Deed(
        f"POST {V1}/auth/refresh",
        ROUTINE,
        lambda known: {"refresh_token": known["refresh_token"]},
        NOBODY,
    ),
    Deed(f"DELETE {V1}/auth/sessions/{{session_id}}", ("session.closed",)),
    Deed(
        f"PUT {V1}/auth/password",
        ("password.changed",),
        lambda _: {"current_password": PASSWORD, "new_password": "another good one"},
    ),
    Deed(
        f"POST {V1}/invitations",
        ("invitation.created",),
        lambda _: {"role": "viewer"},
        keeps={"invitation_id": "id"},
    ),
    Deed(f"DELETE {V1}/invitations/{{invitation_id}}", ("invitation.revoked",)),
    Deed(
        f"POST {V1}/invitations/accept",
        ("member.joined",),
        lambda known: {"token": known["token"]},
        GUEST,
        {"member_id": "id"},
    ),
    Deed(f"PUT {V1}/members/{{member_id}}", ("member.role_changed",), lambda _: {"role": "member"}),
    Deed(f"DELETE {V1}/members/{{member_id}}", ("member.removed",)),
    Deed(
        f"POST {V1}/api-keys",
        ("api_key.created",),
        lambda _: {"name": "told"},
        keeps={"key_id": "id"},
    ),
    Deed(f"DELETE {V1}/api-keys/{{key_id}}", ("api_key.revoked",)),
    Deed(
        f"PUT {V1}/organizations/current",
        ("organization.changed",),
        lambda _: {"retention": {"jobs_days": 7}},
    ),
    Deed(f"POST {V1}/jobs", BEGUN, lambda _: LONG, keeps={"job_id": "id"}),
    Deed(f"POST {V1}/jobs/batch", BEGUN, lambda _: {"jobs": [{"model": "echo-v1"}]}),
    Deed(f"POST {V1}/jobs/{{job_id}}/cancel", ("job.cancelled",)),
    Deed(f"POST {V1}/jobs/{{job_id}}/retry", ("job.reopened",), first=Desk.ended),
    Deed(f"DELETE {V1}/jobs/{{job_id}}", ("job.deleted",), first=Desk.cancelled),
    Deed(f"POST {V1}/files", BEGUN, keeps={"file_id": "id"}, more=file_of("file", b"12345")),
    Deed(
        f"POST {V1}/files/uploads",
        BEGUN,
        lambda _: {"name": "b", "size_bytes": 5},
        keeps={"upload_id": "id", "upload_url": "upload_url"},
    ),
    Deed(
        f"PUT {V1}/uploads/{{upload_id}}",
        BEGUN,
        by=NOBODY,
        more=lambda: {"content": b"12345"},
        at="upload_url",
    ),
    Deed(f"POST {V1}/files/uploads/{{upload_id}}/complete", BEGUN),
    Deed(
        f"POST {V1}/jobs/upload-ticket",
        BEGUN,
        lambda _: {"filename": "c", "content_type": "text/plain"},
    ),
    Deed(f"DELETE {V1}/files/{{file_id}}", ("file.deleted",)),
    Deed(
        f"POST {V1}/schedules", ("schedule.created",), lambda _: PLAN, keeps={"schedule_id": "id"}
    ),
    Deed(f"PUT {V1}/schedules/{{schedule_id}}", ("schedule.replaced",), lambda _: PLAN),
    Deed(f"DELETE {V1}/schedules/{{schedule_id}}", ("schedule.deleted",)),
    Deed(f"POST {V1}/webhooks", ("webhook.created",), lambda _: HOOK, keeps={"endpoint_id": "id"}),
    Deed(f"PUT {V1}/webhooks/{{endpoint_id}}", ("webhook.replaced",), lambda _: HOOK),
    Deed(
        f"POST {V1}/webhooks/{{endpoint_id}}/test",
        ("webhook.tested",),
        keeps={"delivery_id": "id"},
    ),
    Deed(f"POST {V1}/webhooks/deliveries/{{delivery_id}}/replay", ("delivery.replayed",)),
    Deed(f"POST {V1}/webhooks/{{endpoint_id}}/secret/rotate", ("webhook.secret_rotated",)),
    Deed(f"POST {V1}/webhooks/secret/rotate", ("webhook.secret_rotated",)),
    Deed(f"DELETE {V1}/webhooks/{{endpoint_id}}", ("webhook.deleted",)),
    Deed(f"POST {V1}/queues/{{name}}/pause", ("queue.paused",), by=OPERATOR),
    Deed(f"POST {V1}/queues/{{name}}/resume", ("queue.resumed",), by=OPERATOR),
    Deed(f"POST {V1}/workers/{{worker_id}}/drain", ("worker.drained",), by=OPERATOR),
    Deed(f"POST {V1}/workers/{{worker_id}}/resume", ("worker.resumed",), by=OPERATOR),
    Deed(
        "PUT /customers/{customer_id}",
        ("customer.changed", "customer.created"),
        lambda _: {"retentionDays": 1},
    ),
    Deed(
        "POST /customers/{customer_id}",
        ("photo.received",),
        more=lambda: file_of("photo", photo(astronaut().crop((90, 0, 350, 260))))(),
    ),
    Deed("DELETE /customers/{customer_id}", ("customer.erased",)),
    Deed(f"POST {V1}/beds", ("bed.created",), lambda _: BED, keeps={"bed_id": "id"}),
    Deed(f"PUT {V1}/beds/{{bed_id}}", ("bed.changed",), lambda _: BED | {"seed": 2}),
    Deed(
        f"POST {V1}/beds/{{bed_id}}/upload",
        ("bed.changed",),
        keeps={"file_id": "id"},
        more=lambda: {"files": {"file": ("a.stl", b"solid a\nendsolid a\n")}},
    ),
    Deed(f"DELETE {V1}/beds/{{bed_id}}/files/{{file_id}}", ("bed.file_deleted",)),
    Deed(
        f"POST {V1}/beds/{{bed_id}}/simulations",
        ("simulation.created",),
        lambda _: {"solver": "flow-v1"},
        keeps={"simulation_id": "id"},
    ),
    Deed(f"POST {V1}/simulations/{{simulation_id}}/cancel", ("simulation.cancelled",)),
    Deed(
        f"POST {V1}/simulations/sweeps",
        ("sweep.created",),
        lambda _: {"bed": BED, "over": {"velocity_m_s": [0.1]}, "solver": "flow-v1"},
        keeps={"sweep_id": "id"},
    ),
    Deed(f"POST {V1}/simulations/sweeps/{{sweep_id}}/cancel", ("sweep.cancelled",)),
    Deed(f"DELETE {V1}/beds/{{bed_id}}", ("bed.deleted",)),
    Deed(f"POST {V1}/auth/logout", ("session.closed",)),
)


def changing(running: Running) -> set[str]:
    paths: dict[str, Any] = create_api(running.platform).openapi()["paths"]
    return {
        f"{method.upper()} {path}"
        for path, ways in paths.items()
        for method in ways
        if method in {"post", "put", "patch", "delete"}
    }


async def desk_of(running: Running, owner: Person, operator: Api) -> Desk:
    made = Desk(owner, await register(running.anyone), operator)
    await owner.again()
    sessions = (await owner.get("/auth/sessions"))["items"]
    workers = (await operator.get(f"{V1}/workers")).json()["items"]
    made.known = {
        "email": f"told-{owner.email}",
        "session_id": next(one["id"] for one in sessions if not one["current"]),
        "token": (await owner.post("/invitations", {"role": "viewer"}))["token"],
        "name": "io",
        "worker_id": workers[0]["id"],
        "customer_id": "told",
    }
    return made


async def test_every_change_is_told_in_the_log(
    running: Running, owner: Person, operator: Api
) -> None:
    assert {deed.way for deed in DEEDS} == changing(running)
    desk = await desk_of(running, owner, operator)
    wrong: list[tuple[str, object]] = []
    for deed in DEEDS:
        method, path = deed.way.split()
        if deed.first is not None:
            await deed.first(desk)
        address = desk.known[deed.at] if deed.at else path.format_map(desk.known)
        more = deed.more() | ({"json": deed.json(desk.known)} if deed.json else {})
        answer = await desk.ask(method, address, deed.by, **more)
        assert answer.is_success, (deed.way, answer.text)
        for name, key in deed.keeps.items():
            desk.known[name] = answer.json()[key]
        told = await actions(running, answer.headers.get("x-request-id"))
        if told != deed.actions:
            wrong.append((deed.way, told))
    assert wrong == []


async def actions(running: Running, request_id: str | None) -> tuple[str, ...]:
    """What the log has of a request, in whatever organization; nothing of one to a bucket."""
    if request_id is None:
        return ()
    query = sa.select(audit.c.action).where(audit.c.request_id == request_id)
    found = await running.platform.database.read(lambda tx: tx.execute(query).scalars().all())
    return tuple(sorted(found))


async def test_the_log_names_no_customer(owner: Person) -> None:
    """It outlives an erasure, so it knows them by what stands on the receipt."""
    bearer = {"authorization": f"Bearer {owner.tokens['access_token']}"}
    for days in (1, 1, None):
        body = {"retentionDays": days}
        await owner.client.put("/customers/maria.silva", json=body, headers=bearer)
    erased = await owner.client.delete("/customers/maria.silva", headers=bearer)
    receipt = await owner.get(erased.headers["location"].removeprefix(V1))

    told = (await owner.get("/audit?subject_type=customer"))["items"]

    assert [entry["action"] for entry in reversed(told)] == [
        *("customer.created", "customer.changed", "customer.changed", "customer.erased"),
    ]
    assert {entry["subject"]["id"] for entry in told} == {receipt["customer_digest"]}
    assert told[1]["before"] == {"retention_days": 1}
    assert told[1]["after"] == {"retention_days": None}
    assert "maria" not in str((await owner.get("/audit"))["items"])
