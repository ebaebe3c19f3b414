"""Jobs: submitted, listed, waited for, watched."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from tests.client.conftest import collected, done
from tests.client.fake import (
    JOB_ID,
    FakePlatform,
    answer,
    artifact,
    cut,
    event,
    file,
    job,
    page,
    problem,
    sse,
)
from usina_client import (
    AsyncClient,
    Client,
    File,
    GoneError,
    InvalidRequestError,
    JobFailedError,
    JobRequest,
    JobStatus,
    ProtocolError,
    UnavailableError,
    Upload,
    WaitTimeoutError,
)

JOB = f"GET /api/v1/jobs/{JOB_ID}"
EVENTS = f"{JOB}/events"
LOGS = f"{JOB}/logs"
SUBMIT = "POST /api/v1/jobs"
FAILED = {"code": "runner_failed", "reason": "no_result", "message": "Nothing.", "retryable": True}


async def test_a_submit_says_only_what_was_asked(client: Any, platform: FakePlatform) -> None:
    platform.on(SUBMIT, answer(job(), 202))

    submitted = await done(client.jobs.submit("echo-v1"))

    assert submitted.status is JobStatus.QUEUED
    assert not submitted.terminal
    assert platform.seen[0].json == {"model": "echo-v1", "params": {}, "inputs": {}}


async def test_a_submit_with_everything(client: Any, platform: FakePlatform) -> None:
    platform.on(SUBMIT, answer(job(), 202))

    await done(
        client.jobs.submit(
            "m",
            {"rectangle": (1, 2, 3, 4)},
            {"image": "f1", "masks": [File(**file(b"", id="f2")), "f3"], "none": []},
            priority=-5,
            max_attempts=1,
            timeout_seconds=2.5,
            labels={"k": "v"},
        )
    )

    assert platform.seen[0].json == {
        "model": "m",
        "params": {"rectangle": [1, 2, 3, 4]},
        "inputs": {"image": "f1", "masks": ["f2", "f3"], "none": []},
        "priority": -5,
        "max_attempts": 1,
        "timeout_seconds": 2.5,
        "labels": {"k": "v"},
    }


async def test_local_inputs_go_along_in_one_call(
    client: Any, platform: FakePlatform, tmp_path: Path
) -> None:
    (tmp_path / "chair.png").write_bytes(b"png")
    platform.on(SUBMIT, answer(job(), 202))
    told: list[tuple[int, int | None]] = []

    await done(
        client.jobs.submit(
            "relief-v1",
            {"texture_size": 256},
            {
                "image": tmp_path / "chair.png",
                "masks": [Upload(content=b"a", name="a.png"), Upload(content=b"b", name="b.png")],
            },
            priority=3,
            labels={"k": "v"},
            on_upload=lambda *pair: told.append(pair),
        )
    )

    (seen,) = platform.seen
    assert [part[:2] + part[3:] for part in seen.files] == [
        ("image", "chair.png", b"png"),
        ("masks", "a.png", b"a"),
        ("masks", "b.png", b"b"),
    ]
    assert seen.fields["model"] == "relief-v1"
    assert seen.fields["priority"] == "3"
    assert json.loads(seen.fields["params"]) == {"texture_size": 256}
    assert json.loads(seen.fields["labels"]) == {"k": "v"}
    assert "idempotency-key" in seen.headers
    assert told[-1] == (5, 5)


async def test_local_inputs_beside_ids_are_uploaded_first(
    client: Any, platform: FakePlatform
) -> None:
    platform.on("POST /api/v1/files", answer(file(b"x", id="f9"), 201))
    platform.on(SUBMIT, answer(job(), 202))

    await done(
        client.jobs.submit(
            "m", None, {"a": "f1", "b": [Upload(content=io.BytesIO(b"x"), name="x")]}
        )
    )

    assert platform.seen[-1].json["inputs"] == {"a": "f1", "b": ["f9"]}


async def test_what_was_uploaded_for_a_refused_job_goes_again(
    client: Any, platform: FakePlatform
) -> None:
    platform.on("POST /api/v1/files", answer(file(b"x", id="f9"), 201))
    platform.on("DELETE /api/v1/files/f9", answer(None, 204))
    platform.on(SUBMIT, problem(422, "unknown_model"))

    with pytest.raises(InvalidRequestError):
        await done(client.jobs.submit("m", None, {"a": "f1", "b": Upload(content=b"x", name="x")}))

    assert platform.seen[-1].method == "DELETE"


async def test_a_batch_comes_back_in_its_order(client: Any, platform: FakePlatform) -> None:
    platform.on("POST /api/v1/files", answer(file(b"x", id="f9"), 201))
    platform.on(
        "POST /api/v1/jobs/batch", answer({"items": [job(priority=1), job(priority=2)]}, 202)
    )

    jobs = await done(
        client.jobs.submit_batch(
            [
                JobRequest(model="a", priority=1),
                JobRequest(model="b", inputs={"image": Upload(content=b"x", name="x")}),
            ]
        )
    )

    assert [one.priority for one in jobs] == [1, 2]
    assert platform.seen[-1].json == {
        "jobs": [
            {"model": "a", "params": {}, "inputs": {}, "priority": 1},
            {"model": "b", "params": {}, "inputs": {"image": "f9"}},
        ]
    }


async def test_a_list_is_fetched_page_by_page(client: Any, platform: FakePlatform) -> None:
    platform.on(
        "GET /api/v1/jobs", page([job(priority=1), job(priority=2)], "c2"), page([job(priority=3)])
    )
    since = datetime(2026, 1, 2, tzinfo=UTC)

    jobs = await collected(
        client.jobs.list(
            status=["FAILED", JobStatus.CANCELLED],
            model="m",
            labels={"k": "v"},
            created_after=since,
            limit=2,
        )
    )

    assert [one.priority for one in jobs] == [1, 2, 3]
    first, second = platform.seen
    assert first.query == [
        ("status", "FAILED"),
        ("status", "CANCELLED"),
        ("model", "m"),
        ("created_after", "2026-01-02T00:00:00+00:00"),
        ("limit", "2"),
        ("label.k", "v"),
    ]
    assert second.query == [*first.query, ("cursor", "c2")]


async def test_one_page_of_a_list(client: Any, platform: FakePlatform) -> None:
    platform.on("GET /api/v1/jobs", page([], None))

    got = await done(client.jobs.list(status="QUEUED").page("c7"))

    assert (got.items, got.next_cursor) == ([], None)
    assert platform.seen[0].query == [("status", "QUEUED"), ("cursor", "c7")]


async def test_the_log_so_far(client: Any, platform: FakePlatform) -> None:
    queued = {"id": "c1", "job_id": JOB_ID, "seq": 1, "type": "job.queued", "data": {}}
    platform.on(EVENTS, page([queued | {"at": "2026-01-01T00:00:00Z"}]))

    (first,) = await collected(client.jobs.events(JOB_ID, cursor="c0"))

    assert (first.id, first.seq, first.type, first.terminal) == ("c1", 1, "job.queued", False)
    assert platform.seen[0].query == [("cursor", "c0")]


async def test_cancel_retry_and_delete(client: Any, platform: FakePlatform) -> None:
    platform.on(f"POST /api/v1/jobs/{JOB_ID}/cancel", answer(job("RUNNING"), 202))
    platform.on(f"POST /api/v1/jobs/{JOB_ID}/retry", answer(job(attempt=2), 202))
    platform.on(f"DELETE /api/v1/jobs/{JOB_ID}", answer(None, 204))

    assert (await done(client.jobs.cancel(JOB_ID))).status == "RUNNING"
    assert (await done(client.jobs.retry(JOB_ID))).attempt == 2
    await done(client.jobs.delete(JOB_ID))


async def test_waiting_ends_with_the_job(client: Any, platform: FakePlatform) -> None:
    platform.on(JOB, answer(job()), answer(job("RUNNING")), answer(job("SUCCEEDED")))

    waited = await done(client.jobs.wait(JOB_ID))

    assert waited.succeeded
    assert [dict(seen.query)["wait_seconds"] for seen in platform.seen] == ["0", "30.0", "30.0"]


async def test_waiting_outlives_a_platform_that_goes_away_for_a_moment(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(
        JOB,
        answer(job()),
        *[cut(b"{" + b" " * 9, 3)] * 4,
        problem(503, "unavailable"),
        answer(job("SUCCEEDED")),
    )

    assert (await done(client.jobs.wait(JOB_ID))).succeeded


async def test_waiting_has_an_end(client: Any, platform: FakePlatform) -> None:
    platform.on(JOB, answer(job("RUNNING")))

    with pytest.raises(WaitTimeoutError, match=r"still RUNNING after 0\.05 s") as caught:
        await done(client.jobs.wait(JOB_ID, timeout=0.05))

    assert caught.value.job.id == JOB_ID


async def test_a_run_gives_the_job_and_its_artifacts(client: Any, platform: FakePlatform) -> None:
    platform.on(SUBMIT, answer(job(), 202))
    platform.on(JOB, answer(job("SUCCEEDED", artifacts=[artifact(b"glTF")])))

    finished = await done(client.jobs.run("inflate-v1"))

    assert finished.artifact("mesh.glb").size_bytes == 4
    with pytest.raises(KeyError, match=r"it has: mesh\.glb"):
        finished.artifact("mesh.stl")


async def test_a_run_that_fails_tells_the_end_of_the_log(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(SUBMIT, answer(job(), 202))
    platform.on(JOB, answer(job("FAILED", error=FAILED)))
    platform.on(LOGS, answer_text("\n".join(f"line {n}" for n in range(100))))

    with pytest.raises(JobFailedError, match=r"runner_failed \(no_result\): Nothing\.") as caught:
        await done(client.jobs.run("echo-v1"))

    assert caught.value.log_tail.splitlines() == [f"line {n}" for n in range(80, 100)]
    assert caught.value.job.error is not None
    assert caught.value.job.error.retryable


async def test_a_watch_tells_every_event_and_ends_with_the_job(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(
        EVENTS,
        sse(
            event(1, "job.queued"),
            ": keep-alive\r\n\r\n",
            event(2, "job.running", attempt=1),
            event(None, "job.progress", progress=0.25, stage="meshing"),
            event(3, "job.succeeded", status="SUCCEEDED", error=None),
        ),
    )

    events = await collected(client.jobs.watch(JOB_ID))

    assert [(one.seq, one.type) for one in events] == [
        (1, "job.queued"),
        (2, "job.running"),
        (None, "job.progress"),
        (3, "job.succeeded"),
    ]
    assert events[2].data == {"progress": 0.25, "stage": "meshing"}
    assert len(platform.seen) == 1
    assert platform.seen[0].headers["accept"] == "text/event-stream"


async def test_a_watch_is_taken_up_where_it_broke(client: Any, platform: FakePlatform) -> None:
    platform.on(
        EVENTS,
        sse(event(1, "job.queued"), event(2, "job.running"), broken=True),
        problem(503, "unavailable"),
        sse(event(2, "job.running"), event(3, "job.progress"), broken=True),
        sse(),  # closed in order, though the job goes on
        sse(event(4, "job.succeeded")),
    )

    events = await collected(client.jobs.watch(JOB_ID))

    assert [one.seq for one in events] == [1, 2, 3, 4]
    resumed = [seen.headers.get("last-event-id") for seen in platform.seen]
    assert resumed == [None, "c2", "c2", "c3", "c3"]


async def test_a_watch_of_an_ended_job_ends(client: Any, platform: FakePlatform) -> None:
    platform.on(EVENTS, answer(None, 204))

    assert await collected(client.jobs.watch(JOB_ID, last_event_id="c9")) == []
    assert platform.seen[0].headers["last-event-id"] == "c9"


async def test_a_watch_with_a_cursor_of_another_log(client: Any, platform: FakePlatform) -> None:
    platform.on(EVENTS, problem(410, "cursor_gone"))

    with pytest.raises(GoneError):
        await collected(client.jobs.watch(JOB_ID, last_event_id="old"))


async def test_a_watch_does_not_wait_for_a_platform_that_never_was_there(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(EVENTS, problem(503, "unavailable"))

    with pytest.raises(UnavailableError):
        await collected(client.jobs.watch(JOB_ID))


async def test_a_platform_away_for_too_long_ends_the_watch(
    client: Any, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("_async", "_sync"):
        monkeypatch.setattr(f"usina_client.{package}.stream.PATIENCE_SECONDS", 0.2)
    platform.on(EVENTS, sse(event(1, "job.queued"), broken=True), problem(503, "unavailable"))

    with pytest.raises(UnavailableError):
        await collected(client.jobs.watch(JOB_ID))

    assert {seen.headers.get("last-event-id") for seen in platform.seen[1:]} == {"c1"}


async def test_a_watch_of_something_else_is_named(client: Any, platform: FakePlatform) -> None:
    platform.on(EVENTS, answer({"items": []}))

    with pytest.raises(ProtocolError, match="not a stream of events"):
        await collected(client.jobs.watch(JOB_ID))


async def test_an_abandoned_watch_gives_its_connection_back(
    kind: Any, platform: FakePlatform
) -> None:
    platform.on(EVENTS, sse(event(1, "job.queued"), event(2, "job.running")))
    platform.on(JOB, answer(job()))

    if kind is AsyncClient:
        async with AsyncClient(platform.url) as client:
            watch = client.jobs.watch(JOB_ID)
            assert (await anext(watch)).seq == 1
            await watch.aclose()
            assert (await client.jobs.get(JOB_ID)).id == JOB_ID
    else:
        with Client(platform.url) as client:
            assert next(client.jobs.watch(JOB_ID)).seq == 1
            assert client.jobs.get(JOB_ID).id == JOB_ID


async def test_the_log_as_text(client: Any, platform: FakePlatform) -> None:
    platform.on(LOGS, answer_text("a\nb\n"))

    assert await done(client.jobs.logs(JOB_ID, attempt=2)) == "a\nb\n"
    assert platform.seen[0].query == [("attempt", "2")]


async def test_the_log_as_it_grows(client: Any, platform: FakePlatform) -> None:
    platform.on(
        LOGS,
        sse(log("one\n", 4), log("two\n", 8), broken=True),
        sse(log("three\n", 14)),
        sse(),
        sse(log("four\n", 19)),
        sse(),
    )
    platform.on(JOB, answer(job("RUNNING")), answer(job("SUCCEEDED")))

    pieces = await collected(client.jobs.follow_logs(JOB_ID))

    assert "".join(pieces) == "one\ntwo\nthree\nfour\n"
    assert platform.requests(LOGS)[1].headers["last-event-id"] == "8"


async def test_the_log_ends_when_the_platform_says_so(client: Any, platform: FakePlatform) -> None:
    platform.on(LOGS, sse(log("one\n", 4)), answer(None, 204))
    platform.on(JOB, answer(job("SUCCEEDED")))

    assert await collected(client.jobs.follow_logs(JOB_ID)) == ["one\n"]


def log(text: str, offset: int) -> str:
    return f"event: log\r\nid: {offset}\r\ndata: {json.dumps({'text': text})}\r\n\r\n"


def answer_text(text: str) -> Any:
    return PlainTextResponse(text)
