"""`usina.v1.Jobs` tells what HTTP tells, and refuses what HTTP refuses."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from tests.http.conftest import Api
from tests.rpc.client import Client, refused
from tests.rpc.conftest import Served
from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb
from usina.http_kit.event import EventDocument
from usina.http_kit.job import JobDocument
from usina.kernel.events.cursor import encode
from usina.kernel.ids import new_id
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.permission import Permission

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_job_from_its_submit_to_its_end(client: Client, api: Api) -> None:
    job = await client.submit(seconds=0.2, progress_steps=5, artifact_bytes=3)
    assert job.status == pb.Job.QUEUED
    events = [event async for event in client.watch(job.id)]
    log = [event for event in events if event.id]
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert all(not event.HasField("seq") for event in events if not event.id)
    listed = (await api.get(f"/api/v1/jobs/{job.id}/events")).json()["items"]
    for event, shown in zip(log, listed, strict=True):
        assert (event.id, event.job_id, event.seq, event.type) == (
            *(shown["id"], shown["job_id"], shown["seq"], shown["type"]),
        )
        assert event.at.ToJsonString()[:23] == shown["at"][:23]
        if event.type != "job.artifact":
            assert MessageToDict(event.data) == shown["data"]
    ended = await client.get(job.id, wait_seconds=30)
    assert ended.status == pb.Job.SUCCEEDED
    over_http = (await api.get(f"/api/v1/jobs/{job.id}")).json()
    assert [artifact.id for artifact in ended.artifacts] == [
        artifact["id"] for artifact in over_http["artifacts"]
    ]
    assert (await api.client.get(ended.artifacts[0].url)).status_code == 200
    told = MessageToDict(ended, preserving_proto_field_name=True)
    for name in ("id", "model", "model_version", "params", "status", "progress", "attempt"):
        assert told[name] == over_http[name], name
    assert ended.metrics.run_seconds == over_http["metrics"]["run_seconds"]


async def test_every_field_of_the_documents_has_its_place() -> None:
    assert set(JobDocument.model_fields) == set(pb.Job.DESCRIPTOR.fields_by_name)
    assert set(EventDocument.model_fields) == set(pb.Event.DESCRIPTOR.fields_by_name)


async def test_numbers_and_inputs_arrive_as_they_were_meant(client: Client, api: Api) -> None:
    files = [
        (await api.post("/api/v1/files", files={"file": ("a.png", picture)})).json()["id"]
        for picture in (b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n2")
    ]
    request = pb.SubmitRequest(model="echo-v1", labels={"k": "v"}, priority=5, max_attempts=2)
    request.params.update({"seconds": 0.5, "log_lines": 3})
    job = await client.call("Submit", request)
    shown = (await api.get(f"/api/v1/jobs/{job.id}")).json()
    assert shown["params"] == {"seconds": 0.5, "log_lines": 3}
    assert isinstance(shown["params"]["log_lines"], int)
    assert (shown["labels"], shown["priority"], shown["max_attempts"]) == ({"k": "v"}, 5, 2)
    request = pb.SubmitRequest(model="echo-v1")
    request.inputs["image"].ids.extend(files)
    with refused() as told:
        await client.call("Submit", request)
    assert (told.status, told.code) == ("INVALID_ARGUMENT", "unknown_field")
    assert json.loads(told.trailing["errors"])[0]["pointer"] == "/inputs/image"


async def test_asking_twice_does_once(client: Client) -> None:
    request = pb.SubmitRequest(model="echo-v1", labels={str(n): "x" for n in range(20)})
    first = await client.call("Submit", request, idempotency_key="once")
    again = await client.call("Submit", request, idempotency_key="once")
    assert again == first
    with refused() as told:
        await client.call("Submit", pb.SubmitRequest(model="echo-v1"), idempotency_key="once")
    assert (told.status, told.code) == ("FAILED_PRECONDITION", "idempotency_key_reused")


async def test_watching_again_after_the_last_event(client: Client, api: Api) -> None:
    job = await client.submit(seconds=0.3, progress_steps=10)
    seen: list[str] = []
    cursor = ""
    while not seen or seen[-1] != "job.succeeded":
        async with aclosing(client.watch(job.id, cursor)) as events:
            event = await anext(event async for event in events if event.id)
        cursor = event.id
        seen.append(event.type)
    listed = (await api.get(f"/api/v1/jobs/{job.id}/events")).json()["items"]
    assert seen == [event["type"] for event in listed]
    assert await client.told(job.id, cursor) == []


async def test_the_organization_is_watched_from_now(client: Client, other: Client) -> None:
    before = await client.submit()
    await client.get(before.id, 30)
    call = client.call("Watch", pb.WatchRequest())
    await call.wait_for_connection()
    reading = asyncio.create_task(call.read())
    job = await client.submit()
    await other.submit()
    event = await asyncio.wait_for(reading, 10)
    assert (event.job_id, event.type) == (job.id, "job.queued")
    call.cancel()
    resumed = client.watch(cursor=event.id)
    assert (await anext(resumed)).job_id == job.id
    await resumed.aclose()


@pytest.mark.parametrize("key", ["", "usina_" + "0" * 64, "x" * 3000])
@pytest.mark.parametrize("name", ["x-api-key", "authorization"])
async def test_nobody_without_a_key(served: Served, name: str, key: str) -> None:
    value = f"Bearer {key}" if name == "authorization" else key
    stranger = Client(served.anyone.channel, {name: value})
    requests: dict[str, Any] = {
        "Submit": pb.SubmitRequest(model="echo-v1"),
        "Get": pb.GetRequest(job_id="x"),
        "Cancel": pb.CancelRequest(job_id="x"),
    }
    for method, request in requests.items():
        with refused() as told:
            await stranger.call(method, request)
        assert (told.status, told.code) == ("UNAUTHENTICATED", "unauthorized")
    with refused() as told:
        await stranger.told("")
    assert (told.status, told.code) == ("UNAUTHENTICATED", "unauthorized")


async def test_a_key_as_a_bearer(served: Served, api: Api) -> None:
    bearer = Client(served.anyone.channel, {"authorization": f"bearer {api.key}"})
    assert (await bearer.submit()).id


async def test_who_is_known_and_may_not(
    served: Served, client: Client, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def viewer(*_: object) -> Caller:
        return replace(api.caller, permissions=frozenset({Permission.JOBS_READ}))

    job = await client.submit()
    monkeypatch.setattr(served.running.platform.gate, "identify", viewer)
    assert (await client.get(job.id)).id == job.id
    for call in (client.submit(), client.cancel(job.id)):
        with refused() as told:
            await call
        assert (told.status, told.code) == ("PERMISSION_DENIED", "forbidden")


async def test_one_answer_for_every_job_that_is_not_theirs(client: Client, other: Client) -> None:
    theirs = (await other.submit()).id
    for job_id in (theirs, new_id(), "x", theirs.upper(), "é", "\0"):
        for call in (client.get, client.cancel, client.told):
            with refused() as told:
                await call(job_id)
            assert (told.status, told.code) == ("NOT_FOUND", "not_found")
            assert told.detail == "There is nothing at this address."


@pytest.mark.parametrize("seconds", [-1.0, 60.5, 1e308, float("inf"), float("nan")])
async def test_waiting_has_its_limits(client: Client, seconds: float) -> None:
    job = await client.submit()
    with refused() as told:
        await client.get(job.id, seconds)
    assert (told.status, told.code) == ("INVALID_ARGUMENT", "validation_failed")


@pytest.mark.parametrize("cursor", ["abc", "-1", "é", "x" * 500, encode("00000000", 1)])
async def test_a_bad_cursor_is_gone(client: Client, cursor: str) -> None:
    job = await client.submit()
    for job_id in (job.id, ""):
        with refused() as told:
            await client.told(job_id, cursor)
        assert (told.status, told.code) == ("OUT_OF_RANGE", "cursor_gone")


async def test_a_deadline_frees_everything(served: Served, client: Client, api: Api) -> None:
    job = await client.submit(seconds=60)
    for call in (
        client.call("Get", pb.GetRequest(job_id=job.id, wait_seconds=60), timeout=0.3),
        client.call("Watch", pb.WatchRequest(job_id=job.id), timeout=0.3),
    ):
        with refused() as told:
            await (call if not hasattr(call, "read") else _drained(call))
        assert told.status == "DEADLINE_EXCEEDED"
    async with asyncio.timeout(30):
        bus, owner = served.running.platform.bus, api.caller.organization_id
        while served.activity.open or bus.has_listeners(owner):
            await asyncio.sleep(0.01)
    assert (await client.cancel(job.id)).HasField("cancel_requested_at")
    assert (await client.get(job.id, 30)).error.code == "cancelled"


async def _drained(call: Any) -> None:
    async for _ in call:
        pass


async def test_what_is_no_message(client: Client) -> None:
    with refused() as told:
        await client.call("Submit", b"\xff\xff\xff")
    assert (told.status, told.code) == ("INVALID_ARGUMENT", "malformed_message")
    with refused() as told:
        await client.call("Submit", b"\0" * (17 * 1024**2))
    assert told.status == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.SubmitRequest(), "unknown_model"),
        (pb.SubmitRequest(model="no-such"), "unknown_model"),
        (pb.SubmitRequest(model="echo-v1", priority=1000), "validation_failed"),
        (pb.SubmitRequest(model="echo-v1", max_attempts=0), "validation_failed"),
        (pb.SubmitRequest(model="echo-v1", timeout_seconds=float("nan")), "validation_failed"),
        (pb.SubmitRequest(model="echo-v1", labels={"\0": "x"}), "validation_failed"),
    ],
)
async def test_a_bad_submit(client: Client, request_: pb.SubmitRequest, code: str) -> None:
    with refused() as told:
        await client.call("Submit", request_)
    assert (told.status, told.code) == ("INVALID_ARGUMENT", code)


@pytest.mark.parametrize("params", [{"nosuch": 1}, {"seconds": "x"}, {"seconds": float("inf")}])
async def test_bad_parameters(client: Client, params: dict[str, Any]) -> None:
    with refused() as told:
        await client.submit(**params)
    assert told.status == "INVALID_ARGUMENT"
    assert json.loads(told.trailing["errors"])[0]["pointer"].startswith("/params")
