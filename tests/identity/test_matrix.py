"""Every way in, and every kind of caller: what it answers. A way without a row fails.

A route's row says which permission it takes and what it answers to who has that, asked without a
body and for ids that nobody has. What each role has is told once more here, so that a table that
changes by accident is noticed.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc
import grpc.aio
import pytest
import pytest_asyncio
import sqlalchemy as sa
from fastapi.routing import APIRoute, APIWebSocketRoute
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed

from tests.http.conftest import Running
from tests.identity.conftest import Person, register
from tests.identity.people import change, make_key
from tests.live.socket import socket
from usina.faces.grpc.services import services_of
from usina.faces.http.app import create_api
from usina.grpc_kit.service import Stream, Unary
from usina.grpc_server import GrpcServer
from usina.kernel.activity import Activity
from usina.kernel.ids import new_id
from usina.kernel.tenancy.table import api_keys
from usina.kernel.tenancy.token import Tokens
from usina.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN: Final = "nobody is asked"
KNOWN: Final = "whoever is known"
LOGGED_IN: Final = "who has a session, which a key has not"
SIGNED: Final = "the address is signed"

V1: Final = "/api/v1"
ROUTES: Final[dict[str, tuple[str, int]]] = {
    "GET /": (OPEN, 200),
    "GET /health": (OPEN, 200),
    "GET /ready": (OPEN, 200),
    "GET /metrics": (OPEN, 200),
    f"POST {V1}/auth/register": (OPEN, 415),
    f"POST {V1}/auth/login": (OPEN, 415),
    f"POST {V1}/auth/refresh": (OPEN, 415),
    f"PUT {V1}/uploads/{{upload_id}}": (SIGNED, 401),
    f"GET {V1}/auth/me": (KNOWN, 200),
    f"PUT {V1}/auth/password": (KNOWN, 415),
    f"POST {V1}/invitations/accept": (KNOWN, 415),
    f"DELETE {V1}/members/{{member_id}}": ("organization:admin", 404),
    f"GET {V1}/jobs": ("jobs:read", 200),
    f"GET {V1}/jobs/{{job_id}}": ("jobs:read", 404),
    f"GET {V1}/jobs/{{job_id}}/download": ("jobs:read", 404),
    f"GET {V1}/jobs/{{job_id}}/events": ("jobs:read", 404),
    f"GET {V1}/jobs/{{job_id}}/logs": ("jobs:read", 404),
    f"GET {V1}/events": ("jobs:read", 200),
    f"GET {V1}/artifacts/{{artifact_id}}": ("jobs:read", 404),
    f"GET {V1}/artifacts/{{artifact_id}}/content": ("jobs:read", 404),
    f"POST {V1}/jobs": ("jobs:write", 415),
    f"POST {V1}/jobs/batch": ("jobs:write", 415),
    f"POST {V1}/jobs/{{job_id}}/cancel": ("jobs:write", 404),
    f"POST {V1}/jobs/{{job_id}}/retry": ("jobs:write", 404),
    f"DELETE {V1}/jobs/{{job_id}}": ("jobs:write", 404),
    f"GET {V1}/files/{{file_id}}": ("files:read", 404),
    f"GET {V1}/files/{{file_id}}/content": ("files:read", 404),
    f"POST {V1}/files": ("files:write", 415),
    f"POST {V1}/files/uploads": ("files:write", 415),
    f"POST {V1}/files/uploads/{{upload_id}}/complete": ("files:write", 404),
    f"POST {V1}/jobs/upload-ticket": ("files:write", 415),
    f"DELETE {V1}/files/{{file_id}}": ("files:write", 404),
    f"GET {V1}/schedules": ("schedules:read", 200),
    f"GET {V1}/schedules/{{schedule_id}}": ("schedules:read", 404),
    f"POST {V1}/schedules": ("schedules:write", 415),
    f"PUT {V1}/schedules/{{schedule_id}}": ("schedules:write", 415),
    f"DELETE {V1}/schedules/{{schedule_id}}": ("schedules:write", 404),
    f"GET {V1}/webhooks": ("webhooks:read", 200),
    f"GET {V1}/webhooks/{{endpoint_id}}": ("webhooks:read", 404),
    f"GET {V1}/webhooks/deliveries": ("webhooks:read", 200),
    f"GET {V1}/webhooks/deliveries/{{delivery_id}}": ("webhooks:read", 404),
    f"POST {V1}/webhooks": ("webhooks:write", 415),
    f"PUT {V1}/webhooks/{{endpoint_id}}": ("webhooks:write", 415),
    f"DELETE {V1}/webhooks/{{endpoint_id}}": ("webhooks:write", 404),
    f"POST {V1}/webhooks/{{endpoint_id}}/test": ("webhooks:write", 404),
    f"GET {V1}/webhooks/secret": ("webhooks:write", 200),
    f"POST {V1}/webhooks/secret/rotate": ("webhooks:write", 200),
    f"GET {V1}/webhooks/{{endpoint_id}}/secret": ("webhooks:write", 404),
    f"POST {V1}/webhooks/{{endpoint_id}}/secret/rotate": ("webhooks:write", 404),
    f"POST {V1}/webhooks/deliveries/{{delivery_id}}/replay": ("webhooks:write", 404),
    f"GET {V1}/models": ("platform:read", 200),
    f"GET {V1}/models/{{name}}": ("platform:read", 404),
    f"GET {V1}/workers": ("platform:read", 200),
    f"GET {V1}/queues": ("platform:read", 200),
    f"POST {V1}/queues/{{name}}/pause": ("platform:operate", 404),
    f"POST {V1}/queues/{{name}}/resume": ("platform:operate", 404),
    f"POST {V1}/workers/{{worker_id}}/drain": ("platform:operate", 404),
    f"POST {V1}/workers/{{worker_id}}/resume": ("platform:operate", 404),
    f"GET {V1}/api-keys": ("keys:read", 200),
    f"POST {V1}/api-keys": ("keys:write", 415),
    f"DELETE {V1}/api-keys/{{key_id}}": ("keys:write", 404),
    f"GET {V1}/members": ("organization:read", 200),
    f"PUT {V1}/members/{{member_id}}": ("organization:admin", 415),
    f"GET {V1}/invitations": ("organization:admin", 200),
    f"POST {V1}/invitations": ("organization:admin", 415),
    f"DELETE {V1}/invitations/{{invitation_id}}": ("organization:admin", 404),
    f"GET {V1}/organizations/current": ("organization:read", 200),
    f"PUT {V1}/organizations/current": ("organization:admin", 415),
    f"GET {V1}/audit": ("audit:read", 200),
    "GET /customers": ("apps:read", 200),
    "GET /customers/{customer_id}": ("apps:read", 404),
    "GET /customers/{customer_id}/photos": ("apps:read", 404),
    "GET /customers/{customer_id}/photos/stream": ("apps:read", 404),
    "GET /customers/{customer_id}/photos/{job_id}/status": ("apps:read", 404),
    "POST /customers/{customer_id}": ("apps:write", 415),
    "PUT /customers/{customer_id}": ("apps:write", 415),
    "DELETE /customers/{customer_id}": ("apps:write", 404),
    f"GET {V1}/erasures": ("apps:read", 200),
    f"GET {V1}/erasures/{{receipt_id}}": ("apps:read", 404),
    f"GET {V1}/beds": ("apps:read", 200),
    f"GET {V1}/beds/{{bed_id}}": ("apps:read", 404),
    f"GET {V1}/beds/{{bed_id}}/files": ("apps:read", 404),
    f"GET {V1}/beds/{{bed_id}}/files/{{file_id}}": ("apps:read", 404),
    f"POST {V1}/beds": ("apps:write", 415),
    f"PUT {V1}/beds/{{bed_id}}": ("apps:write", 415),
    f"DELETE {V1}/beds/{{bed_id}}": ("apps:write", 404),
    f"POST {V1}/beds/{{bed_id}}/upload": ("apps:write", 404),
    f"DELETE {V1}/beds/{{bed_id}}/files/{{file_id}}": ("apps:write", 404),
    f"GET {V1}/simulations": ("apps:read", 200),
    f"GET {V1}/simulations/{{simulation_id}}": ("apps:read", 404),
    f"POST {V1}/beds/{{bed_id}}/simulations": ("apps:write", 415),
    f"POST {V1}/simulations/{{simulation_id}}/cancel": ("apps:write", 404),
    f"GET {V1}/simulations/sweeps": ("apps:read", 200),
    f"GET {V1}/simulations/sweeps/{{sweep_id}}": ("apps:read", 404),
    f"POST {V1}/simulations/sweeps": ("apps:write", 415),
    f"POST {V1}/simulations/sweeps/{{sweep_id}}/cancel": ("apps:write", 404),
    f"GET {V1}/auth/sessions": (LOGGED_IN, 200),
    f"DELETE {V1}/auth/sessions/{{session_id}}": (LOGGED_IN, 404),
    f"POST {V1}/auth/logout": (LOGGED_IN, 204),
}
"""The last one ends the session that it is called with."""

CHANNELS: Final[dict[str, str]] = {f"{V1}/ws": "jobs:read"}
"""WebSocket routes by their path, and the permission that each takes."""

METHODS: Final[dict[str, str]] = {
    "usina.v1.Jobs/Submit": "jobs:write",
    "usina.v1.Jobs/Get": "jobs:read",
    "usina.v1.Jobs/Watch": "jobs:read",
    "usina.v1.Jobs/Cancel": "jobs:write",
    "usina.avatars.v1.ProfilePhotoJobGrpc/GetStatus": "apps:read",
    "usina.avatars.v1.ProfilePhotoJobGrpc/StreamStatus": "apps:read",
}
"""Methods of gRPC, and the permission that each takes. Health and reflection ask nobody."""

_VIEWER: Final = {
    *("platform:read", "jobs:read", "files:read", "schedules:read", "apps:read"),
    "organization:read",
}
_MEMBER: Final = _VIEWER | {
    *("jobs:write", "files:write", "schedules:write", "webhooks:read", "apps:write"),
    *("keys:read", "keys:write"),
}
_ADMIN: Final = _MEMBER | {"webhooks:write", "organization:admin", "audit:read"}
_OPERATOR: Final = _ADMIN | {"platform:operate"}


@dataclass(frozen=True)
class Kind:
    """A caller: what it sends, and what it may; null for one that nobody knows."""

    headers: Mapping[str, str]
    may: set[str] | None

    def expects(self, row: tuple[str, int]) -> int:
        takes, allowed = row
        if takes in (OPEN, SIGNED):
            return allowed
        if self.may is None:
            return 401
        if takes == LOGGED_IN:
            return 409 if "x-api-key" in self.headers else allowed
        if takes == KNOWN or takes in self.may:
            return allowed
        return 403

    def fits(self, takes: str, found: grpc.StatusCode) -> bool:
        """Whether a method that takes this permission may come to this status."""
        if self.may is None:
            return found is grpc.StatusCode.UNAUTHENTICATED
        if takes not in self.may:
            return found is grpc.StatusCode.PERMISSION_DENIED
        return found in _LET_IN


_LET_IN: Final = {
    *(grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT),
}


@dataclass(frozen=True)
class Everybody:
    owner: Person
    kinds: Mapping[str, Kind]


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def key(text: str) -> dict[str, str]:
    return {"x-api-key": text}


async def member(owner: Person, role: str) -> Person:
    token = (await owner.post("/invitations", {"role": role}))["token"]
    return await register(owner.client, invitation=token)


def part(said: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def forgeries(claims: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Tokens that say what a good one says, signed by somebody else or by nobody."""
    header = {"alg": "HS256", "typ": "at+jwt"}
    stranger = OctKey.import_key(b"of another platform, and long enough")
    yield "foreign signature", jwt.encode(header, claims, stranger, algorithms=["HS256"])
    yield "alg none", f"{part({**header, 'alg': 'none'})}.{part(claims)}."
    body = jwt.encode(header, claims, stranger, algorithms=["HS256"]).split(".")
    yield "no signature", f"{body[0]}.{body[1]}."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def everybody(running: Running) -> AsyncGenerator[Everybody]:
    owner = await register(running.anyone)
    database = running.platform.database
    me = await owner.get("/auth/me")
    organization = me["organization"]["id"]
    roles = {role: await member(owner, role) for role in ("viewer", "member", "admin")}
    revoked = await owner.post("/api-keys", {"name": "revoked"})
    await owner("DELETE", f"/api-keys/{revoked['id']}")
    expired = await make_key(database, organization)
    past = sa.update(api_keys).where(api_keys.c.prefix == expired[:14])
    now = await database.read(lambda tx: tx.now)
    await change(database, past.values(expires_at=now - timedelta(seconds=1)))
    gone = await owner.again()
    await gone("POST", "/auth/logout")
    left = await member(owner, "admin")
    await left("DELETE", f"/members/{(await left.get('/auth/me'))['id']}")
    said = json.loads(base64.urlsafe_b64decode(owner.tokens["access_token"].split(".")[1] + "=="))
    kinds = {
        "anonymous": Kind({}, None),
        "malformed key": Kind(key("usina_xyz"), None),
        "unknown key": Kind(key("usina_" + "0" * 64), None),
        "revoked key": Kind(key(revoked["secret"]), None),
        "expired key": Kind(key(expired), None),
        "expired token": Kind(bearer(_expired(running, said)), None),
        "ended session": Kind(bearer(gone.tokens["access_token"]), None),
        "former member": Kind(bearer(left.tokens["access_token"]), None),
        "refresh token": Kind(bearer(owner.tokens["refresh_token"]), None),
        "basic": Kind({"authorization": "Basic YTpi"}, None),
        **{name: Kind(bearer(text), None) for name, text in forgeries(said)},
        "viewer": Kind(bearer(roles["viewer"].tokens["access_token"]), _VIEWER),
        "member": Kind(bearer(roles["member"].tokens["access_token"]), _MEMBER),
        "admin": Kind(bearer(roles["admin"].tokens["access_token"]), _ADMIN),
        "owner": Kind(bearer((await owner.again()).tokens["access_token"]), _ADMIN),
        "key of nobody": Kind(key(await make_key(database, organization)), _ADMIN),
        "key of a viewer": Kind(
            key(await make_key(database, organization, user_id=await _id(roles["viewer"]))), _VIEWER
        ),
        "key without scopes": Kind(key(await make_key(database, organization, ())), set()),
        "operator": Kind(key(running.first_key), _OPERATOR),
    }
    for area in ("jobs", "files", "schedules", "keys", "platform"):
        scope = f"{area}:{'operate' if area == 'platform' else 'write'}"
        text = await make_key(database, organization, (scope,))
        allowed = {f"{area}:read", scope} - {"platform:operate"}
        kinds[f"key of {area}"] = Kind(key(text), allowed)
    yield Everybody(owner, kinds)


async def _id(person: Person) -> str:
    return (await person.get("/auth/me"))["id"]


def _expired(running: Running, said: dict[str, Any]) -> str:
    """As the platform itself made it, an hour ago."""
    issuer = running.platform.accounts._tokens
    assert isinstance(issuer, Tokens)
    earlier = Tokens(
        issuer._secret,
        issuer._platform_id,
        issuer.lifetime_seconds,
        now=lambda: float(said["iat"] - 3600),
    )
    return earlier.issue(said["sub"], said["org"], said["sid"])


def routes(running: Running) -> list[str]:
    pages = {"/docs", "/redoc", "/docs/oauth2-redirect"}
    return [
        f"{method} {route.path}"
        for route in create_api(running.platform).routes
        if isinstance(route, APIRoute) and route.path not in pages
        for method in sorted(route.methods)
    ]


async def test_every_way_in_has_a_row(running: Running) -> None:
    assert sorted(routes(running)) == sorted(ROUTES)
    channels = [
        route.path
        for route in create_api(running.platform).routes
        if isinstance(route, WebSocketRoute | APIWebSocketRoute)
    ]
    assert sorted(channels) == sorted(CHANNELS)


async def test_the_channel_lets_in_who_may_follow(running: Running, everybody: Everybody) -> None:
    told: dict[str, str] = {}
    for name, kind in everybody.kinds.items():
        async with socket(str(running.anyone.base_url), dict(kind.headers)) as client:
            with contextlib.suppress(ConnectionClosed):  # which says why all the same
                await client.say("ping")
            first = await client.hear()
            told[name] = first.get("code", first["type"])
    takes = CHANNELS[f"{V1}/ws"]
    expected = {
        name: "unauthorized"
        if kind.may is None
        else "connection_established"
        if takes in kind.may
        else "forbidden"
        for name, kind in everybody.kinds.items()
    }
    assert told == expected


async def test_every_method_of_grpc_answers_every_kind_of_caller_as_its_row_says(
    running: Running, everybody: Everybody
) -> None:
    services = services_of(running.platform.registry.apps)
    methods = {
        f"{service.descriptor.full_name}/{name}": method
        for service in services
        for name, method in service.methods.items()
    }
    assert sorted(methods) == sorted(METHODS)
    wrong: list[tuple[str, str, grpc.StatusCode]] = []
    async with GrpcServer(Settings(port=0, _env_file=None)) as server:
        await server.start(running.platform, services, Activity())
        async with grpc.aio.insecure_channel(server.address) as channel:
            for name, kind in everybody.kinds.items():
                for way, takes in METHODS.items():
                    let_in = kind.may is not None and takes in kind.may
                    found = await _status(channel, way, methods[way], kind, let_in=let_in)
                    if not kind.fits(takes, found):
                        wrong.append((name, way, found))
        await server.stop()
    assert wrong == []


async def _status(
    channel: grpc.aio.Channel, way: str, method: Unary | Stream, kind: Kind, *, let_in: bool
) -> grpc.StatusCode:
    """What an empty request comes to; a stream that has begun is left at once."""
    stream = isinstance(method, Stream)
    make: Any = channel.unary_stream if stream else channel.unary_unary
    call = make(f"/{way}")(b"", timeout=30, metadata=tuple(kind.headers.items()))
    if stream and let_in:
        await call.initial_metadata()
        refused, _ = await asyncio.wait([asyncio.ensure_future(call.code())], timeout=0.05)
        if not refused:
            call.cancel()
            return grpc.StatusCode.OK
    try:
        await (call.read() if stream else call)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_every_kind_of_caller_is_answered_as_its_row_says(
    running: Running, everybody: Everybody
) -> None:
    wrong: list[tuple[str, str, int, int]] = []
    for name, kind in everybody.kinds.items():
        for way, row in _asked(kind, name):
            method, path = way.split()
            answer = await running.anyone.request(method, _with_ids(path), headers=kind.headers)
            expected = kind.expects(row)
            if answer.status_code != expected:
                wrong.append((name, way, answer.status_code, expected))
            if expected == 401 and row[0] != SIGNED:
                assert answer.headers["www-authenticate"].startswith("Bearer")
            if answer.status_code >= 400 and method != "HEAD":
                assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert wrong == []


def _asked(kind: Kind, name: str) -> Iterable[tuple[str, tuple[str, int]]]:
    """Every way for who is known and for who sends nothing; one of each row's kind for whom the
    gate itself refuses, as it does whatever the route."""
    if kind.may is not None or name == "anonymous":
        return ROUTES.items()
    return {row: (way, row) for way, row in ROUTES.items()}.values()


def _with_ids(path: str) -> str:
    parts = (new_id() if p.startswith("{") else p for p in path.split("/"))
    return "/".join(parts)


@dataclass(frozen=True)
class Theirs:
    """What an organization has of everything that has an id, by the name in the path."""

    ids: Mapping[str, str]


async def possessions(owner: Person) -> Theirs:
    made = await owner.post("/jobs", {"model": "echo-v1", "params": {"artifact_bytes": 9}}, 202)
    job = await owner.get(f"/jobs/{made['id']}?wait_seconds=30")
    file = await owner("POST", "/files", files={"file": ("a.txt", b"theirs")})
    plan = {"name": "n", "every_seconds": 3600, "job": {"model": "echo-v1"}}
    upload = await owner.post("/files/uploads", {"name": "b", "size_bytes": 5})
    return Theirs(
        {
            "job_id": job["id"],
            "artifact_id": job["artifacts"][0]["id"],
            "file_id": file.json()["id"],
            "upload_id": upload["id"],
            "schedule_id": (await owner.post("/schedules", plan))["id"],
            "key_id": (await owner.post("/api-keys", {"name": "theirs"}))["id"],
            "member_id": (await owner.get("/auth/me"))["id"],
            "invitation_id": (await owner.post("/invitations", {"role": "viewer"}))["id"],
            "session_id": (await owner.get("/auth/sessions"))["items"][0]["id"],
            "endpoint_id": (await owner.post("/webhooks", {"url": "http://127.0.0.1:80/"}))["id"],
            **await _beds_of(owner),
        }
    )


async def _beds_of(owner: Person) -> dict[str, str]:
    bed = await owner.post("/beds", {"name": "theirs", "generator": "spheres-v1"})
    wanted = {"solver": "flow-v1"}
    simulation = await owner.post(f"/beds/{bed['id']}/simulations", wanted, 202)
    return {"bed_id": bed["id"], "simulation_id": simulation["id"]}


BODIES: Final[dict[str, dict[str, Any]]] = {
    f"PUT {V1}/beds/{{bed_id}}": {"name": "mine"},
    f"POST {V1}/beds/{{bed_id}}/simulations": {"solver": "flow-v1"},
    f"PUT {V1}/schedules/{{schedule_id}}": {
        "name": "n",
        "every_seconds": 60,
        "job": {"model": "echo-v1"},
    },
    f"PUT {V1}/members/{{member_id}}": {"role": "viewer"},
    f"PUT {V1}/webhooks/{{endpoint_id}}": {"url": "http://127.0.0.1:80/"},
}


async def test_the_owner_of_another_organization_finds_nothing_there(running: Running) -> None:
    victim, stranger = await register(running.anyone), await register(running.anyone)
    theirs = await possessions(victim)
    bodies = set[str]()
    asked = 0
    for way in ROUTES:
        method, path = way.split()
        names = [p.strip("{}") for p in path.split("/") if p.startswith("{")]
        if not names or names[0] not in theirs.ids or ROUTES[way][0] == SIGNED:
            continue
        address = path.replace(f"{{{names[0]}}}", theirs.ids[names[0]]).removeprefix(V1)
        answer = await stranger(method, address, json=BODIES.get(way))
        assert answer.status_code == 404, (way, answer.text)
        document = answer.json()
        del document["instance"], document["request_id"]
        bodies.add(repr(document))
        asked += 1
    assert asked > 18
    assert len(bodies) == 1, "one body for whatever is not there"
    for path, name in (
        ("/jobs", "job_id"),
        ("/schedules", "schedule_id"),
        ("/artifacts", "artifact_id"),
        ("/files", "file_id"),
    ):
        assert (await victim("GET", f"{path}/{theirs.ids[name]}")).status_code == 200
    listed = [
        {item["id"] for item in (await victim.get(path))["items"]}
        for path in ("/api-keys", "/members", "/invitations")
    ]
    kept = [theirs.ids[name] for name in ("key_id", "member_id", "invitation_id")]
    assert all(one in found for one, found in zip(kept, listed, strict=True))


async def test_another_organizations_ids_in_bodies_are_unknown(running: Running) -> None:
    victim, stranger = await register(running.anyone), await register(running.anyone)
    theirs = (await possessions(victim)).ids
    for source in (theirs["file_id"], theirs["artifact_id"], theirs["upload_id"]):
        body = {"model": "picture-v1", "inputs": {"image": source}}
        for path, sent in (
            ("/jobs", body),
            ("/jobs/batch", {"jobs": [body]}),
            ("/schedules", {"name": "n", "every_seconds": 60, "job": body}),
        ):
            answer = await stranger("POST", path, json=sent)
            assert (answer.status_code, answer.json()["code"]) == (422, "input_not_found")


async def test_a_signed_link_is_good_for_its_path_and_method_alone(running: Running) -> None:
    owner = await register(running.anyone)
    theirs = (await possessions(owner)).ids
    job = await owner.get(f"/jobs/{theirs['job_id']}")
    url: str = job["artifacts"][0]["url"]
    anyone = running.anyone
    assert (await anyone.get(url)).status_code == 200
    other = url.replace(theirs["artifact_id"], new_id())
    for method, changed in (
        ("GET", other),
        ("GET", url[:-2] + ("AA" if not url.endswith("AA") else "BB")),
        ("GET", url.replace("expires=", "expires=9")),
        ("GET", url.split("?")[0]),
    ):
        assert (await anyone.request(method, changed)).status_code == 401, changed
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert (await anyone.request(method, url)).status_code == 405
