"""The platform in memory does to a program's tests what the real one does to the program.

Each story is told to both, by both clients.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.client.conftest import closed, collected, done
from tests.torture.platform import running
from usina_client import (
    AsyncClient,
    Client,
    ConflictError,
    InvalidRequestError,
    JobFailedError,
    JobRequest,
    NotFoundError,
    RateLimitedError,
    TransportError,
    UnavailableError,
    Upload,
    WaitTimeoutError,
)
from usina_client.testing import Failure, FakePlatform, Run

PARAMS = {"seconds": None, "fail": None, "fail_attempts": None, "log_lines": 0, "artifacts": 0}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address and the key of an embedded platform."""
    folder = tmp_path_factory.mktemp("real")
    with running(folder, USINA_RETRY_SECONDS="0.01") as platform:
        yield platform.url, platform.api_key


@pytest.fixture
def fake() -> FakePlatform:
    platform = FakePlatform()

    @platform.model("echo-v1", params=PARAMS)
    def echo(run: Run) -> None:
        for number in range(int(run.params["log_lines"] or 0)):
            run.log(f"line {number + 1}")
        if (code := run.params["fail"]) and run.attempt <= (run.params["fail_attempts"] or 99):
            raise Failure(code, "as asked for")
        for number in range(int(run.params["artifacts"] or 0)):
            run.artifact(f"artifact-{number + 1}.bin", b"\0")
        report = json.dumps({"params": dict(run.params)}).encode()
        run.artifact("report.json", report, kind="report", media_type="application/json")

    @platform.model("relief-v1", inputs=["image"])
    def relief(run: Run) -> None:
        run.progress(0.5, "meshing")
        run.artifact("mesh.glb", run.inputs["image"][0], kind="model")

    return platform


@pytest.fixture
async def memory(kind: Any, fake: FakePlatform) -> Any:
    made = fake.async_client() if kind is AsyncClient else fake.client()
    yield made
    await closed(made)


@pytest.fixture(params=["memory", "real"])
async def usina(kind: Any, request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        fake: FakePlatform = request.getfixturevalue("fake")
        made = fake.async_client() if kind is AsyncClient else fake.client()
    else:
        made = kind(*request.getfixturevalue("real"))
    yield made
    await closed(made)


async def test_a_job_runs_and_leaves_its_artifacts(usina: AsyncClient | Client) -> None:
    submitted = await done(usina.jobs.submit("echo-v1", {"artifacts": 2}, labels={"shelf": "a"}))
    assert (submitted.status, submitted.attempt, submitted.artifacts) == ("QUEUED", 1, [])
    job = await done(usina.jobs.wait(submitted.id, timeout=30))
    assert (job.status, job.progress, job.error) == ("SUCCEEDED", 1.0, None)
    names = {artifact.name for artifact in job.artifacts if artifact.kind != "log"}
    assert names == {"report.json", "artifact-1.bin", "artifact-2.bin"}
    report = json.loads(await done(usina.artifacts.read(job.artifact("report.json"))))
    assert report["params"]["artifacts"] == 2
    assert (await done(usina.artifacts.get(job.artifact("report.json").id))).kind == "report"


async def test_its_events_are_told_in_order(usina: AsyncClient | Client) -> None:
    job = await done(usina.jobs.run("echo-v1"))
    listed = await collected(usina.jobs.events(job.id))
    assert [event.seq for event in listed] == list(range(1, len(listed) + 1))
    types = [event.type for event in listed]
    assert [types[0], types[1], types[-1]] == ["job.queued", "job.running", "job.succeeded"]
    assert listed[-1].data == {"status": "SUCCEEDED", "error": None}
    watched = await collected(usina.jobs.watch(job.id))
    assert [(e.id, e.seq, e.type) for e in watched if e.seq] == [
        (e.id, e.seq, e.type) for e in listed
    ]
    later = await collected(usina.jobs.watch(job.id, last_event_id=listed[1].id))
    assert [event.seq for event in later] == [event.seq for event in listed[2:]]
    paged = await collected(usina.jobs.events(job.id, cursor=listed[0].id, limit=1))
    assert [event.seq for event in paged] == [event.seq for event in listed[1:]]


async def test_a_failure_is_repeated_if_it_may_help(usina: AsyncClient | Client) -> None:
    job = await done(usina.jobs.run("echo-v1", {"fail": "runner_failed", "fail_attempts": 1}))
    assert (job.status, job.attempt) == ("SUCCEEDED", 2)
    events = await collected(usina.jobs.events(job.id))
    [again] = [event for event in events if event.type == "job.retrying"]
    assert again.data["attempt"] == 2
    with pytest.raises(JobFailedError) as caught:
        await done(usina.jobs.run("echo-v1", {"fail": "invalid_input", "log_lines": 2}))
    failed = caught.value.job
    assert failed.error is not None
    assert (failed.status, failed.attempt, failed.error.code) == ("FAILED", 1, "invalid_input")
    assert len(caught.value.log_tail.splitlines()) == 2


async def test_a_failed_job_is_reopened_and_a_good_one_is_not(usina: AsyncClient | Client) -> None:
    wanted = {"fail": "out_of_memory", "fail_attempts": 1}
    failed = await done(usina.jobs.submit("echo-v1", wanted, max_attempts=1))
    assert (await done(usina.jobs.wait(failed.id))).status == "FAILED"
    reopened = await done(usina.jobs.retry(failed.id))
    assert (reopened.status, reopened.attempt, reopened.error) == ("QUEUED", 2, None)
    assert (await done(usina.jobs.wait(failed.id))).status == "SUCCEEDED"
    with pytest.raises(ConflictError) as caught:
        await done(usina.jobs.retry(failed.id))
    assert caught.value.code == "job_not_retryable"


async def test_the_same_key_is_the_same_job(usina: AsyncClient | Client) -> None:
    key = uuid4().hex
    first = await done(usina.jobs.submit("echo-v1", {"artifacts": 1}, idempotency_key=key))
    again = await done(usina.jobs.submit("echo-v1", {"artifacts": 1}, idempotency_key=key))
    assert (again.id, again.status) == (first.id, "QUEUED")
    with pytest.raises(ConflictError) as caught:
        await done(usina.jobs.submit("echo-v1", {"artifacts": 2}, idempotency_key=key))
    assert caught.value.code == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("model", "params", "inputs", "code", "pointer"),
    [
        ("none-v1", {}, {}, "unknown_model", "/model"),
        ("echo-v1", {"colour": 1}, {}, "unknown_field", "/params/colour"),
        (
            "relief-v1",
            {},
            {"image": "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"},
            "input_not_found",
            "/inputs/image",
        ),
    ],
)
async def test_what_is_wrong_is_refused_with_its_place(
    usina: AsyncClient | Client, model: str, params: Any, inputs: Any, code: str, pointer: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await done(usina.jobs.submit(model, params, inputs))
    assert caught.value.code == code
    assert [problem.pointer for problem in caught.value.errors] == [pointer]


async def test_what_is_not_there_is_not_found(usina: AsyncClient | Client) -> None:
    for look in (usina.jobs.get, usina.files.get, usina.artifacts.get, usina.models.get):
        with pytest.raises(NotFoundError):
            await done(look("01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"))


async def test_files_come_and_go(usina: AsyncClient | Client, tmp_path: Any) -> None:
    file = await done(usina.files.upload(b"plain words", name="a.txt", media_type="text/plain"))
    assert (file.name, file.size_bytes) == ("a.txt", 11)
    path = await done(usina.files.download(file, tmp_path))
    assert path.read_bytes() == b"plain words"
    await done(usina.files.delete(file.id))
    with pytest.raises(NotFoundError):
        await done(usina.files.get(file.id))
    with pytest.raises(InvalidRequestError) as caught:
        await done(usina.files.upload(b"", name="b"))
    assert caught.value.code == "empty_file"


async def test_lists_are_the_newest_first_and_narrowed(usina: AsyncClient | Client) -> None:
    mine = {"list": uuid4().hex}
    ids = [(await done(usina.jobs.run("echo-v1", labels=mine))).id for _ in range(3)]
    listed = await collected(usina.jobs.list(labels=mine, limit=2))
    assert [job.id for job in listed] == ids[::-1]
    assert await collected(usina.jobs.list(labels=mine, status="FAILED")) == []
    await done(usina.jobs.delete(ids[1]))
    left = await collected(usina.jobs.list(labels=mine, model="echo-v1"))
    assert [job.id for job in left] == [ids[2], ids[0]]


async def test_a_batch_is_all_or_none(usina: AsyncClient | Client) -> None:
    label = {"batch": uuid4().hex}
    good = JobRequest(model="echo-v1", labels=label)
    with pytest.raises(InvalidRequestError) as caught:
        await done(usina.jobs.submit_batch([good, JobRequest(model="none-v1", labels=label)]))
    assert [problem.pointer for problem in caught.value.errors] == ["/jobs/1/model"]
    assert await collected(usina.jobs.list(labels=label)) == []
    assert len(await done(usina.jobs.submit_batch([good, good]))) == 2


async def test_the_log_is_there_and_followed(usina: AsyncClient | Client) -> None:
    job = await done(usina.jobs.run("echo-v1", {"log_lines": 3}))
    log = await done(usina.jobs.logs(job.id))
    assert len(log.splitlines()) == 3
    assert "".join(await collected(usina.jobs.follow_logs(job.id))) == log


async def test_the_catalogue_is_in_the_order_of_names(usina: AsyncClient | Client) -> None:
    names = [model.name for model in await collected(usina.models.list(limit=1))]
    assert names == sorted(names)
    assert {"echo-v1", "relief-v1"} <= set(names)
    assert (await done(usina.models.get("echo-v1"))).available
    assert (await done(usina.health())).status == "ok"
    assert (await done(usina.ready())).status == "ok"


async def test_a_local_input_reaches_the_function(memory: Any, fake: FakePlatform) -> None:
    content = b"\x89PNG\r\n\x1a\n--not the boundary\r\n\0"
    upload = Upload(content=content, name="chair é.png", media_type="image/png")
    job = await done(memory.jobs.run("relief-v1", inputs={"image": upload}))
    assert await done(memory.artifacts.read(job.artifact("mesh.glb"))) == content
    again = await done(memory.jobs.run("relief-v1", inputs={"image": job.artifact("mesh.glb")}))
    assert again.succeeded
    assert fake.requests[0] == ("POST", "/api/v1/jobs")


async def test_a_refused_form_leaves_no_file(memory: Any, fake: FakePlatform) -> None:
    upload = Upload(content=b"bytes", name="a.png")
    for model, inputs in (("none-v1", {"image": upload}), ("relief-v1", {"picture": upload})):
        with pytest.raises(InvalidRequestError):
            await done(memory.jobs.submit(model, inputs=inputs))
    assert fake.files == []


async def test_a_held_job_waits_and_can_be_cancelled(memory: Any, fake: FakePlatform) -> None:
    with fake.hold():
        kept, dropped = [await done(memory.jobs.submit("echo-v1")) for _ in range(2)]
        with pytest.raises(WaitTimeoutError):
            await done(memory.jobs.wait(kept.id, timeout=0.05))
        assert (await done(memory.jobs.cancel(dropped.id))).status == "CANCELLED"
        with pytest.raises(ConflictError):
            await done(memory.jobs.delete(kept.id))
    assert (await done(memory.jobs.get(kept.id))).status == "SUCCEEDED"
    assert (await done(memory.jobs.cancel(dropped.id))).status == "CANCELLED"


async def test_faults_are_had_for_the_asking(memory: Any, fake: FakePlatform) -> None:
    fake.refuse("POST /api/v1/jobs", 429, "rate_limited", times=2, retry_after_seconds=0)
    fake.cut("GET /health")
    assert (await done(memory.jobs.submit("echo-v1"))).status == "QUEUED"
    assert (await done(memory.health())).status == "ok"
    fake.refuse("POST /api/v1/jobs", 429, "quota_exceeded", times=3, retry_after_seconds=0)
    with pytest.raises(RateLimitedError) as caught:
        await done(memory.jobs.submit("echo-v1"))
    assert caught.value.code == "quota_exceeded"
    fake.refuse("GET /api/v1/models/echo-v1", 503, "unavailable", retry_after_seconds=600)
    with pytest.raises(UnavailableError):
        await done(memory.models.get("echo-v1"))
    fake.cut("GET /api/v1/models/echo-v1", times=3)
    with pytest.raises(TransportError):
        await done(memory.models.get("echo-v1"))
