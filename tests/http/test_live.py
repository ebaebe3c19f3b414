"""The event log and the logs of programs, as lists and as streams."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.http.conftest import Api, Running
from usina.kernel.events.bus import Listener
from usina.kernel.events.cursor import encode

pytestmark = pytest.mark.asyncio(loop_scope="session")

SSE = {"accept": "text/event-stream"}


@dataclass(frozen=True)
class Frame:
    event: str
    id: str | None
    data: Any


async def follow(
    api: Api, path: str, last_id: str | None = None, stop: int = 10_000
) -> list[Frame]:
    """The frames until the stream ends, or the first so many; none when nothing comes any more."""
    headers = SSE | {"x-api-key": api.key} | ({"last-event-id": last_id} if last_id else {})
    frames: list[Frame] = []
    async with api.client.stream("GET", path, headers=headers) as answer:
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif not line and fields:
                frames.append(Frame(fields["event"], fields.get("id"), json.loads(fields["data"])))
                fields = {}
                if len(frames) == stop:
                    break
    return frames


def kept(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.id]


async def test_a_job_told_from_its_first_event_to_its_last(api: Api) -> None:
    job = await api.submit(params={"seconds": 0.2, "progress_steps": 5, "artifact_bytes": 3})
    frames = await follow(api, f"/api/v1/jobs/{job['id']}/events")
    log = kept(frames)
    assert [frame.data["seq"] for frame in log] == list(range(1, len(log) + 1))
    assert log[0].event == "job.queued"
    assert log[-1].event == "job.succeeded"
    assert {frame.data["job_id"] for frame in frames} == {job["id"]}
    for frame in frames:
        assert frame.event == frame.data["type"]
        if frame.id:
            assert set(frame.data) == {"id", "job_id", "seq", "type", "at", "data"}
            assert frame.data["id"] == frame.id
        else:
            assert set(frame.data) == {"job_id", "type", "data"}
    running = next(frame for frame in log if frame.event == "job.running")
    assert running.data["data"] == {"attempt": 1}
    artifact = next(frame for frame in log if frame.event == "job.artifact").data["data"]
    assert (await api.client.get(artifact["artifact"]["url"])).status_code == 200
    assert log[-1].data["data"] == {"status": "SUCCEEDED", "error": None}


async def test_list_and_stream_tell_the_same(api: Api) -> None:
    job = await api.finished()
    path = f"/api/v1/jobs/{job['id']}/events"
    listed = (await api.get(path)).json()
    assert listed["next_cursor"] is None
    streamed = [frame.data for frame in kept(await follow(api, path))]
    assert [event | {"data": None} for event in listed["items"]] == [
        event | {"data": None} for event in streamed
    ]


async def test_pages_of_events_are_oldest_first(api: Api) -> None:
    job = await api.finished()
    path = f"/api/v1/jobs/{job['id']}/events"
    everything = [event["id"] for event in (await api.get(path)).json()["items"]]
    seen: list[str] = []
    cursor: str | None = None
    while cursor or not seen:
        page = await api.get(path, params={"limit": 1} | ({"cursor": cursor} if cursor else {}))
        seen += [event["id"] for event in page.json()["items"]]
        cursor = page.json()["next_cursor"]
    assert seen == everything
    after = await api.get(path, params={"cursor": everything[-1]})
    assert after.json() == {"items": [], "next_cursor": None}


async def test_resuming_misses_nothing_and_repeats_nothing(api: Api) -> None:
    job = await api.submit(params={"seconds": 0.3, "progress_steps": 10})
    path = f"/api/v1/jobs/{job['id']}/events"
    seen: list[Frame] = []
    while not seen or seen[-1].event != "job.succeeded":
        seen += kept(await follow(api, path, seen[-1].id if seen else None, stop=1))
    listed = (await api.get(path)).json()["items"]
    assert [frame.id for frame in seen] == [event["id"] for event in listed]


async def test_resuming_after_the_end_is_204(api: Api) -> None:
    job = await api.finished()
    path = f"/api/v1/jobs/{job['id']}/events"
    events = (await api.get(path)).json()["items"]
    answer = await api.get(path, headers=SSE | {"last-event-id": events[-1]["id"]})
    assert (answer.status_code, answer.content) == (204, b"")
    answer = await api.get(f"{path}?cursor={events[-1]['id']}", headers=SSE)
    assert answer.status_code == 204
    tail = await follow(api, path, events[-2]["id"])
    assert [frame.id for frame in tail] == [events[-1]["id"]]


async def test_a_reopened_job_goes_on(api: Api) -> None:
    job = await api.finished(params={"fail": "runner_failed", "fail_attempts": 1}, max_attempts=1)
    path = f"/api/v1/jobs/{job['id']}/events"
    last = (await api.get(path)).json()["items"][-1]
    assert last["type"] == "job.failed"
    await api.post(f"/api/v1/jobs/{job['id']}/retry")
    frames = kept(await follow(api, path, last["id"]))
    assert frames[0].event == "job.retrying"
    assert frames[0].data["seq"] == last["seq"] + 1
    assert frames[-1].event == "job.succeeded"


async def test_many_followers_see_the_same(api: Api) -> None:
    job = await api.submit(params={"seconds": 0.2, "progress_steps": 4})
    path = f"/api/v1/jobs/{job['id']}/events"
    told = await asyncio.gather(*(follow(api, path) for _ in range(20)))
    assert len({tuple(frame.id for frame in kept(frames)) for frames in told}) == 1


async def test_the_organization_is_followed_from_now(api: Api, other: Api) -> None:
    await api.finished()
    path = "/api/v1/events"
    before = (await api.get(path)).json()["items"]
    following = asyncio.create_task(follow(api, path, before[-1]["id"], stop=3))
    job = await api.submit()
    await other.finished()
    frames = await following
    assert {frame.data["job_id"] for frame in frames} == {job["id"]}
    assert frames[0].event == "job.queued"


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/jobs/{id}/events"])
@pytest.mark.parametrize("cursor", ["abc", "-1", "0", "!", "é", "x" * 500])
async def test_a_bad_cursor_is_gone(api: Api, path: str, cursor: str) -> None:
    address = path.format(id=(await api.finished())["id"])
    for headers in ({}, SSE):
        answer = await api.get(address, params={"cursor": cursor}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")
    raw = {"accept": b"text/event-stream", "last-event-id": cursor.encode()}
    answer = await api.get(address, headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")


async def test_a_cursor_of_another_epoch_or_of_the_future_is_gone(api: Api) -> None:
    epoch = await api.platform.events.epoch()
    for cursor in (encode("00000000", 1), encode(epoch, 2**40), encode(epoch, 10**18 - 1)):
        for headers in ({}, SSE):
            answer = await api.get("/api/v1/events", params={"cursor": cursor}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")


async def test_a_cursor_of_an_event_that_was_deleted_is_none_of_the_future(api: Api) -> None:
    job = await api.finished()
    last = (await api.get(f"/api/v1/jobs/{job['id']}/events")).json()["items"][-1]["id"]
    assert (await api("DELETE", f"/api/v1/jobs/{job['id']}")).status_code == 204
    listed = await api.get("/api/v1/events", params={"cursor": last})
    assert listed.json() == {"items": [], "next_cursor": None}


async def test_a_client_that_leaves_frees_everything(
    running: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await api.running(params={"seconds": 60})
    bus, listen = running.platform.bus, running.platform.bus.listen
    came, left = asyncio.Event(), asyncio.Event()

    @contextmanager
    def watched(*topics: str) -> Generator[Listener]:
        try:
            with listen(*topics) as listener:
                came.set()
                yield listener
        finally:
            left.set()

    monkeypatch.setattr(bus, "listen", watched)
    streams = ("/events", "/jobs/{id}/events", "/jobs/{id}/logs")
    for path in (f"/api/v1{stream}".format(id=job["id"]) for stream in streams):
        came.clear()
        left.clear()
        headers = SSE | {"x-api-key": api.key}
        async with api.client.stream("GET", path, headers=headers), asyncio.timeout(30):
            await came.wait()
        async with asyncio.timeout(30):
            await left.wait()
    monkeypatch.undo()
    assert not bus.has_listeners(api.caller.organization_id)
    await api.ended_by_cancel(job["id"])


async def test_head_of_a_stream_ends(api: Api) -> None:
    answer = await api("HEAD", "/api/v1/events", headers=SSE)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_a_log_as_text(api: Api) -> None:
    job = await api.finished(params={"log_lines": 50})
    answer = await api.get(f"/api/v1/jobs/{job['id']}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(answer.text.splitlines()) >= 50
    assert (await api.get(f"/api/v1/jobs/{job['id']}/logs?attempt=1")).text == answer.text
    for attempt, status in (("2", 404), ("0", 422), ("x", 422)):
        wrong = await api.get(f"/api/v1/jobs/{job['id']}/logs?attempt={attempt}")
        assert wrong.status_code == status


async def test_a_large_log_is_streamed(api: Api) -> None:
    job = await api.finished(params={"log_lines": 20_000})
    answer = await api.get(f"/api/v1/jobs/{job['id']}/logs")
    assert len(answer.text.splitlines()) >= 20_000
    frames = await follow(api, f"/api/v1/jobs/{job['id']}/logs")
    assert "".join(frame.data["text"] for frame in frames) == answer.text
    assert frames[-1].id == str(len(answer.content))


async def test_a_log_live_and_resumed(api: Api) -> None:
    job = await api.submit(params={"log_lines": 30, "seconds": 0.2})
    path = f"/api/v1/jobs/{job['id']}/logs"
    first = await follow(api, path, stop=1)
    rest = await follow(api, path, first[0].id)
    await api.ended(job["id"])
    text = (await api.get(path)).text
    assert "".join(frame.data["text"] for frame in first + rest) == text
    assert {frame.event for frame in first + rest} == {"log"}
    ended = await api.get(path, headers=SSE | {"last-event-id": str(len(text.encode()))})
    assert ended.status_code == 204
    for wrong in ("x", "-1", "1.5", "9" * 30):
        gone = await api.get(path, headers=SSE | {"last-event-id": wrong})
        assert (gone.status_code, gone.json()["code"]) == (410, "cursor_gone")
