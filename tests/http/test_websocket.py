"""The WebSocket: who may, what is told, what is asked, and how it ends."""

import asyncio
import json
import socket as sockets
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.http.conftest import Api, Running
from tests.live.socket import socket
from usina.faces.http.dress import Dresser
from usina.http_kit.call import Call
from usina.kernel.events.cursor import encode
from usina.kernel.events.event import Event
from usina.kernel.events.log import NewEvent, append

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOBODYS = "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"


def url(api: Api) -> str:
    return str(api.client.base_url)


async def test_a_job_is_told_from_its_first_event_to_its_last(api: Api, other: Api) -> None:
    async with socket(url(api), token=api.key) as client:
        hello = await client.hear()
        assert hello["type"] == "connection_established"
        assert hello["organization_id"] == api.caller.organization_id
        await other.submit()
        job = await api.submit(params={"seconds": 0.2, "progress_steps": 5})
        told = await client.updates(job["id"])
    listed = (await api.get(f"/api/v1/jobs/{job['id']}/events")).json()["items"]
    assert [message["event"]["id"] for message in told] == [event["id"] for event in listed]
    for message, event in zip(told, listed, strict=True):
        assert set(message) == {"type", "cursor", "job", "event"}
        assert message["cursor"] == message["event"]["id"]
        assert message["job"].keys() == job.keys()
        assert message["job"]["id"] == job["id"]
        assert message["event"] | {"data": None} == event | {"data": None}
    assert told[-1]["job"]["status"] == "SUCCEEDED"
    artifact = told[-1]["job"]["artifacts"][0]
    assert (await api.client.get(artifact["url"])).status_code == 200


@pytest.mark.parametrize("way", ["header", "bearer", "message"])
async def test_other_ways_to_say_who_calls(api: Api, way: str) -> None:
    headers = {"header": {"x-api-key": api.key}, "bearer": {"authorization": f"Bearer {api.key}"}}
    async with socket(url(api), headers.get(way)) as client:
        if way == "message":
            await client.say("auth", token=api.key)
        assert (await client.hear())["type"] == "connection_established"
        await client.say("ping")
        assert (await client.hear())["type"] == "pong"


async def test_with_a_slash_behind(api: Api) -> None:
    address = f"{url(api).replace('http', 'ws', 1)}/api/v1/ws/?token={api.key}"
    async with connect(address) as connection:
        assert json.loads(await connection.recv())["type"] == "connection_established"
    with pytest.raises(InvalidStatus):
        await connect(address.replace("/ws/", "/no-such"))


@pytest.mark.parametrize("token", ["usina_" + "0" * 64, "", "é", "x" * 5000, "a\0b"])
async def test_a_bad_token_is_closed_as_the_origin_did(api: Api, token: str) -> None:
    async with socket(url(api), token=token) as client:
        if not token:
            await client.say("auth", token="wrong")
        told = await client.hear()
        assert (told["type"], told["code"]) == ("error", "unauthorized")
        assert (await client.closed())[0] == 4001


@pytest.mark.parametrize(
    "first",
    ["", "x", "{}", "[]", '{"type":"ping"}', '{"type":"subscribe"}', b"\0", '{"type":"auth"}'],
)
async def test_anything_before_the_token_is_refused(api: Api, first: str | bytes) -> None:
    async with socket(url(api)) as client:
        await client.connection.send(first)
        assert (await client.closed()) == (4001, "unauthorized")


async def test_who_says_nothing_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usina.faces.http.websocket._AUTHENTICATE_SECONDS", 0.1)
    async with socket(url(api)) as client:
        assert (await client.closed()) == (4001, "unauthorized")


async def test_resuming_misses_nothing_and_repeats_nothing(api: Api) -> None:
    async with socket(url(api), token=api.key) as client:
        cursor = (await client.hear())["cursor"]
    job = await api.submit(params={"seconds": 0.3, "progress_steps": 10})
    seen: list[str] = []
    ended = False
    while not ended:
        async with socket(url(api)) as client:
            await client.say("auth", token=api.key, cursor=cursor)
            message = await client.hear_a("job_update")
            cursor = message["cursor"]
            seen.append(cursor)
            ended = message["event"]["type"] == "job.succeeded"
    listed = (await api.get(f"/api/v1/jobs/{job['id']}/events")).json()["items"]
    assert seen == [event["id"] for event in listed]
    async with socket(url(api), token=api.key, cursor=seen[0]) as client:
        told = await client.updates(job["id"])
        assert [message["cursor"] for message in told] == seen[1:]
        await client.say("subscribe", cursor=seen[1], types=["job.running", "job.succeeded"])
        confirmed = await client.hear_a("subscription_confirmed")
        assert confirmed["types"] == ["job.running", "job.succeeded"]
        again = await client.updates(job["id"])
        assert all(message["cursor"] in seen[2:] for message in again)


@pytest.mark.parametrize("cursor", ["abc", "-1", "é", "x" * 500, encode("00000000", 1)])
async def test_a_bad_cursor_is_gone(api: Api, cursor: str) -> None:
    async with socket(url(api), token=api.key, cursor=cursor) as client:
        assert (await client.hear())["code"] == "cursor_gone"
        assert (await client.closed()) == (4010, "cursor_gone")


async def test_only_what_was_subscribed_to_is_told(api: Api) -> None:
    first, second = await api.submit(params={"seconds": 0.5}), await api.submit()
    async with socket(url(api), token=api.key) as client:
        await client.hear()
        await client.say("subscribe", jobs=[first["id"]], types=["job.succeeded"])
        await client.hear_a("subscription_confirmed")
        await api.ended(second["id"])
        told = await client.hear_a("job_update")
        assert (told["event"]["type"], told["event"]["job_id"]) == ("job.succeeded", first["id"])
        third = await api.submit(params={"seconds": 1})
        await client.say("subscribe", jobs=[third["id"]])
        assert (await client.updates(third["id"]))[-1]["event"]["type"] == "job.succeeded"


async def test_an_event_amid_its_telling_is_not_told_after_another_subscription(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    amid, confirmed, message = asyncio.Event(), asyncio.Event(), Dresser.message

    async def held(dresser: Dresser, event: Event, epoch: str, call: Call) -> str:
        amid.set()
        await confirmed.wait()
        return await message(dresser, event, epoch, call)

    monkeypatch.setattr(Dresser, "message", held)
    async with socket(url(api), token=api.key) as client:
        await client.hear()
        job = await api.submit()
        await amid.wait()
        await client.say("subscribe", types=["job.succeeded"])
        await client.hear_a("subscription_confirmed")
        confirmed.set()
        assert (await client.hear_a("job_update"))["event"]["type"] == "job.succeeded"
        await api.ended(job["id"])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "validation_failed"),
        ("{", "validation_failed"),
        ("[" * 10_000, "validation_failed"),
        ('{"type":"nosuch"}', "validation_failed"),
        ('{"type":"ping","more":1}', "unknown_field"),
        ('{"type":"subscribe","jobs":[]}', "validation_failed"),
        ('{"type":"subscribe","jobs":"x"}', "validation_failed"),
        ('{"type":"subscribe","jobs":["x"]}', "not_found"),
        (json.dumps({"type": "subscribe", "jobs": [NOBODYS]}), "not_found"),
        ('{"type":"subscribe","cursor":"x"}', "cursor_gone"),
        ('{"type":"auth","token":"x"}', "validation_failed"),
    ],
)
async def test_a_bad_message_changes_nothing(api: Api, message: str, code: str) -> None:
    async with socket(url(api), token=api.key) as client:
        await client.hear()
        await client.connection.send(message)
        told = await client.hear()
        assert (told["type"], told["code"]) == ("error", code)
        job = await api.submit()
        assert await client.updates(job["id"])


async def test_a_foreign_job_is_not_there(api: Api, other: Api) -> None:
    theirs = await other.submit()
    async with socket(url(api), token=api.key) as client:
        await client.hear()
        await client.say("subscribe", jobs=[theirs["id"]])
        assert (await client.hear())["code"] == "not_found"


async def test_a_binary_or_a_giant_message_ends_it(api: Api) -> None:
    for message, code in ((b"\0", 1003), ("x" * 70_000, 1009)):
        async with socket(url(api), token=api.key) as client:
            await client.hear()
            await client.connection.send(message)
            assert (await client.closed())[0] == code


async def test_a_strange_query_is_refused(api: Api) -> None:
    async with socket(url(api), token=api.key, nosuch="1") as client:
        assert (await client.hear())["code"] == "unknown_field"
        assert (await client.closed()) == (4000, "unknown_field")


async def test_other_subjects_wear_the_origins_dress(api: Api, running: Running) -> None:
    owner, platform = api.caller.organization_id, running.platform
    happened = {
        "device.status": {"device_id": "camera-1", "status": "ON"},
        "event.created": {"event": {"id": "1", "event_type": "line", "severity": "low"}},
        "detections.batch": {"device_id": "camera-1", "detections": []},
        "pipeline.status": {"pipeline_id": "p", "status": "active"},
    }
    async with socket(url(api), token=api.key) as client:
        await client.hear()
        for kind, data in happened.items():
            new = [NewEvent(owner, None, None, kind, data)]
            await platform.database.write(
                lambda tx, new=new: append(tx, new, platform.bus.announce)
            )
        told = [await client.hear() for _ in happened]
    dresses = ["device_status_update", "new_event", "new_detections", "pipeline_status_update"]
    assert [message["type"] for message in told] == dresses
    for message, data in zip(told, happened.values(), strict=True):
        assert data.items() <= message.items()
        assert isinstance(message["timestamp"], int)
        assert message["cursor"]


async def test_a_job_that_was_deleted_is_null(api: Api) -> None:
    async with socket(url(api), token=api.key) as client:
        cursor = (await client.hear())["cursor"]
        job = await api.finished()
        await client.updates(job["id"])
    assert (await api("DELETE", f"/api/v1/jobs/{job['id']}")).status_code == 204
    async with socket(url(api), token=api.key, cursor=cursor) as client:
        await client.hear()
        second = await api.submit()
        assert (await client.hear_a("job_update"))["job"]["id"] == second["id"]


async def test_who_leaves_frees_everything(api: Api, running: Running) -> None:
    async with socket(url(api), token=api.key) as client:
        await client.hear()
    async with socket(url(api), token=api.key) as client:
        await client.hear()
        client.connection.transport.abort()
        with pytest.raises(ConnectionClosed):
            await client.hear()
    async with asyncio.timeout(10):
        while running.platform.bus.has_listeners(api.caller.organization_id):
            await asyncio.sleep(0.01)


async def test_who_never_reads_is_cut_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.http.conftest import at_work, settings_of

    monkeypatch.setattr("usina.server._TAKE_SECONDS", 1)
    async with at_work(settings_of(tmp_path)) as made:
        api = await made.new_organization()
        host, port = made.anyone.base_url.host, made.anyone.base_url.port
        assert port is not None
        stuck = sockets.socket()
        stuck.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2048)
        stuck.connect((host, port))
        stuck.sendall(
            f"GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nx-api-key: {api.key}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        owner, platform = api.caller.organization_id, made.platform
        async with socket(url(api), token=api.key) as client:
            cursor = (await client.hear())["cursor"]
            async with asyncio.timeout(60):
                while (
                    len(platform.events._tails) == 0
                    or len(platform.events._tails[owner]._of_all) < 2
                ):
                    await asyncio.sleep(0.01)
                number = 0
                while len(platform.events._tails[owner]._of_all) == 2:
                    data = {"pad": "x" * 60_000, "number": number}
                    new = [NewEvent(owner, None, None, "device.status", data)]
                    await platform.database.write(
                        lambda tx, new=new: append(tx, new, platform.bus.announce)
                    )
                    assert (await client.hear())["number"] == number
                    number += 1
                    await asyncio.sleep(0.02)
        stuck.close()
        async with socket(url(api), token=api.key, cursor=cursor) as client:
            await client.hear()
            assert [(await client.hear())["number"] for _ in range(number)] == list(range(number))
