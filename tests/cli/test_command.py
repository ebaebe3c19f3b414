"""Every command of the client: what it prints where, and the code it ends with."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Usina
from tests.client.fake import (
    JOB_ID,
    FakePlatform,
    answer,
    artifact,
    event,
    file,
    job,
    page,
    problem,
    ranged,
    sse,
)

JOB = f"GET /api/v1/jobs/{JOB_ID}"
FAILED = {"code": "runner_failed", "reason": None, "message": "It broke.", "retryable": True}
ENTRY: dict[str, Any] = {
    "name": "inflate-v1",
    "version": "1.0.0",
    "task": "image-to-3d",
    "description": "From a picture to a body.",
    "license": "MIT",
    "input_schema": {
        "type": "object",
        "properties": {"image": {}, "mask": {}},
        "required": ["image"],
    },
    "params_schema": {
        "type": "object",
        "properties": {"texture_size": {"type": "integer", "minimum": 256, "maximum": 4096}},
    },
    "default_params": {"texture_size": 1024},
    "resources": {
        "gpu": 0,
        "memory_bytes": 1024**3,
        "slots": 1,
        "gpu_memory_bytes": 0,
        "cpu": True,
    },
    "timeout_seconds": 600,
    "gates": [],
    "available": True,
    "unavailable_reason": None,
    "waits_because": None,
    "terms": None,
    "weights": [],
    "installable": False,
}


@pytest.fixture
def runs(platform: FakePlatform, usina: Usina, tmp_path: Path) -> FakePlatform:
    """A platform on which inflate-v1 succeeds, and a picture in the current folder."""
    (tmp_path / "chair.png").write_bytes(b"png")
    made = [artifact(b"glTF"), artifact(b"{}", "report.json", id="a2", kind="report")]
    platform.on("GET /api/v1/models/inflate-v1", answer(ENTRY))
    platform.on("POST /api/v1/jobs", answer(job(model="inflate-v1"), 202))
    platform.on(
        JOB, answer(job("RUNNING")), answer(job("SUCCEEDED", model="inflate-v1", artifacts=made))
    )
    platform.on(f"{JOB}/events", sse(*story("job.succeeded")))
    platform.on("GET /api/v1/artifacts/a1/content", ranged(b"glTF"))
    platform.on("GET /api/v1/artifacts/a2/content", ranged(b"{}"))
    return platform


def story(ending: str) -> list[str]:
    return [
        event(1, "job.queued"),
        event(2, "job.running", attempt=1),
        event(3, "job.progress", progress=0.5, stage="meshing"),
        event(4, ending),
    ]


def test_a_run_prints_the_paths_of_the_artifacts(
    runs: FakePlatform, usina: Usina, tmp_path: Path
) -> None:
    done = usina("run", "inflate-v1", "image=chair.png", "--param", "texture_size=512")

    folder = f"inflate-v1-{JOB_ID}"
    assert done.code == 0
    assert done.out.splitlines() == [f"{folder}/mesh.glb", f"{folder}/report.json"]
    assert (tmp_path / folder / "mesh.glb").read_bytes() == b"glTF"
    assert "inflate-v1: running" in done.err
    assert "inflate-v1: meshing" in done.err
    (submitted,) = runs.requests("POST /api/v1/jobs")
    assert submitted.files[0][:2] == ("image", "chair.png")
    assert json.loads(submitted.fields["params"]) == {"texture_size": 512}
    assert submitted.headers["x-api-key"] == "key-1"


def test_a_run_with_json_prints_the_job_and_its_files(
    runs: FakePlatform, usina: Usina, tmp_path: Path
) -> None:
    done = usina("run", "inflate-v1", "image=chair.png", "--out", tmp_path / "made", "--json")

    assert done.code == 0
    assert done.json["status"] == "SUCCEEDED"
    assert done.json["files"] == [
        str(tmp_path / "made" / "mesh.glb"),
        str(tmp_path / "made" / "report.json"),
    ]
    assert done.err == ""


def test_artifacts_of_one_name_do_not_overwrite_each_other(
    runs: FakePlatform, usina: Usina, tmp_path: Path
) -> None:
    twins = [artifact(b"glTF", "a/mesh.glb"), artifact(b"{}", "b/mesh.glb", id="a2")]
    runs.on(JOB, answer(job("SUCCEEDED", artifacts=twins)))

    done = usina("run", "inflate-v1", "image=chair.png", "--out", "made")

    assert done.out.splitlines() == ["made/mesh.glb", "made/mesh-2.glb"]
    assert (tmp_path / "made" / "mesh-2.glb").read_bytes() == b"{}"


def test_a_run_that_does_not_wait_prints_the_id(runs: FakePlatform, usina: Usina) -> None:
    assert usina("run", "inflate-v1", "image=chair.png", "--no-wait").out == f"{JOB_ID}\n"

    done = usina("run", "inflate-v1", "image=chair.png", "--no-wait", "--json")
    assert (done.code, done.json["id"], done.json["status"]) == (0, JOB_ID, "QUEUED")


def test_a_failed_run_tells_the_error_and_the_log(runs: FakePlatform, usina: Usina) -> None:
    runs.on(JOB, answer(job("RUNNING")), answer(job("FAILED", error=FAILED)))
    runs.on(f"{JOB}/events", sse(*story("job.failed")))
    runs.on(f"{JOB}/logs", lambda _: text("first\nTraceback: it broke\n"))

    done = usina("run", "inflate-v1", "image=chair.png")

    assert (done.code, done.out) == (3, "")
    assert "runner_failed: It broke." in done.err
    assert "  Traceback: it broke" in done.err


def test_a_failed_run_with_json_has_the_job_and_a_problem(runs: FakePlatform, usina: Usina) -> None:
    runs.on(JOB, answer(job("FAILED", error=FAILED)))
    runs.on(f"{JOB}/logs", lambda _: text("Traceback: it broke\n"))

    done = usina("--json", "run", "inflate-v1", "image=chair.png")

    assert done.code == 3
    assert (done.json["status"], done.json["files"]) == ("FAILED", [])
    assert done.problem["code"] == "runner_failed"
    assert done.problem["log_tail"] == "Traceback: it broke"


def test_a_run_that_lasts_too_long_says_how_to_come_back(runs: FakePlatform, usina: Usina) -> None:
    runs.on(JOB, answer(job("RUNNING")))
    runs.on(f"{JOB}/events", sse(event(1, "job.queued"), broken=True))

    done = usina("run", "inflate-v1", "image=chair.png", "--timeout", "0.2")

    assert (done.code, done.out) == (6, "")
    assert f"usina jobs watch {JOB_ID} --out inflate-v1-{JOB_ID}" in done.err
    assert "still RUNNING after 0.2 s" in done.err

    told = usina("run", "inflate-v1", "image=chair.png", "--timeout", "0.2", "--json")
    assert (told.code, told.problem["code"]) == (6, "wait_timeout")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["image=chair.png", "--param", "texture_sise=1"], "Did you mean texture_size?"),
        (["image=chair.png", "--param", "texture_size=big"], "an integer, at least 256"),
        (["image=none.png"], "'none.png' does not exist"),
        (["imag=chair.png"], "Did you mean image?"),
        ([], "inflate-v1 needs image=FILE"),
        (["image=chair.png", "--timeout", "soon"], "--timeout"),
        (["image=chair.png", "--nothing"], "--nothing"),
    ],
)
def test_a_wrong_word_is_a_usage_error(
    runs: FakePlatform, usina: Usina, arguments: list[str], words: str
) -> None:
    done = usina("run", "inflate-v1", *arguments)

    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert runs.requests("POST /api/v1/jobs") == []

    told = usina("run", "inflate-v1", *arguments, "--json")
    assert (told.code, told.problem["code"]) == (2, "usage")
    assert words in told.problem["detail"]


def test_a_misspelt_model(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/models", page([ENTRY]))

    done = usina("run", "inflat-v1")

    assert (done.code, done.out) == (5, "")
    assert "There is no model 'inflat-v1'. Did you mean inflate-v1?" in done.err


def test_a_refused_parameter_is_explained(runs: FakePlatform, usina: Usina) -> None:
    errors = [{"pointer": "/params/texture_size", "message": "1 is less than 256"}]
    runs.on("POST /api/v1/jobs", problem(422, "validation_failed", "Invalid.", errors=errors))

    done = usina("run", "inflate-v1", "image=chair.png", "--param", "texture_size=1")

    assert done.code == 1
    assert "/params/texture_size: 1 is less than 256" in done.err
    assert "texture_size takes an integer, at least 256, at most 4096." in done.err


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 1), (409, 1), (413, 1), (415, 1), (422, 1), (500, 1),
        (401, 4), (403, 4), (404, 5), (429, 7), (503, 7),
    ],
)  # fmt: skip
def test_each_refusal_has_its_exit_code(
    platform: FakePlatform, usina: Usina, status: int, code: int
) -> None:
    platform.on(JOB, problem(status, "some_code", "It is so."))

    done = usina("jobs", "get", JOB_ID)
    assert (done.code, done.out) == (code, "")
    assert "It is so." in done.err

    told = usina("jobs", "get", JOB_ID, "--json")
    assert (told.code, told.out) == (code, "")
    assert (told.problem["status"], told.problem["code"]) == (status, "some_code")
    assert told.problem["request_id"] == "req-1"


def test_a_platform_that_is_not_there(usina: Usina, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USINA_URL", "http://127.0.0.1:9")

    done = usina("jobs", "list")
    assert (done.code, done.out) == (7, "")
    assert "cannot be reached" in done.err

    assert usina("jobs", "list", "--json").problem["code"] == "unreachable"


def test_an_address_that_is_none(usina: Usina, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USINA_URL", "here")

    done = usina("models")

    assert done.code == 1
    assert "looks like http://host:8000" in done.err


def test_the_address_may_stand_in_a_dotenv_file(
    platform: FakePlatform, usina: Usina, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"USINA_URL={platform.url}\nUSINA_API_KEY='key-3'\n")
    monkeypatch.delenv("USINA_URL")
    monkeypatch.delenv("USINA_API_KEY")
    platform.on("GET /api/v1/jobs", page([]))

    assert usina("jobs", "list", "--json").json == []
    assert platform.seen[0].headers["x-api-key"] == "key-3"


def test_the_catalogue(platform: FakePlatform, usina: Usina) -> None:
    away = ENTRY | {"name": "sf3d-v1", "available": False, "unavailable_reason": "set SF3D_PATH"}
    large = ENTRY | {"name": "large-v1", "waits_because": "it takes 2 GPU"}
    platform.on("GET /api/v1/models", page([ENTRY, large, away]))
    platform.on("GET /api/v1/models/inflate-v1", answer(ENTRY))

    assert usina("models").out.splitlines() == [
        "inflate-v1\t1.0.0\timage-to-3d\tyes",
        "large-v1\t1.0.0\timage-to-3d\tjobs wait: it takes 2 GPU",
        "sf3d-v1\t1.0.0\timage-to-3d\tno: set SF3D_PATH",
    ]
    names = [entry["name"] for entry in usina("models", "--json").json]
    assert names == ["inflate-v1", "large-v1", "sf3d-v1"]
    assert usina("models", "inflate-v1", "--json").json == ENTRY
    shown = usina("models", "inflate-v1").out
    assert "  image  needed" in shown
    assert "texture_size  an integer, at least 256, at most 4096 (default 1024)" in shown


def test_empty_lists_are_empty_arrays(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/models", page([]))
    platform.on("GET /api/v1/jobs", page([]))

    for command in (["models"], ["jobs", "list"]):
        assert usina(*command, "--json").out == "[]\n"
        assert usina("--json", *command).out == "[]\n"
        assert usina(*command).out == ""


def test_jobs_are_listed_with_filters(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/jobs", page([job("FAILED")], "c1"), page([job(), job()]))

    done = usina(
        *("jobs", "list", "--status", "failed", "--status", "QUEUED", "--model", "echo-v1"),
        *("--label", "k=v", "--created-after", "2026-01-02", "--limit", "2"),
    )

    assert done.out.splitlines()[0].split("\t") == [
        JOB_ID, "echo-v1", "FAILED", "0%", "2026-01-01T00:00:00Z",
    ]  # fmt: skip
    assert len(done.out.splitlines()) == 2
    assert platform.seen[0].query == [
        ("status", "FAILED"), ("status", "QUEUED"), ("model", "echo-v1"),
        ("created_after", "2026-01-02T00:00:00+00:00"), ("limit", "2"), ("label.k", "v"),
    ]  # fmt: skip


def test_a_time_that_is_none(platform: FakePlatform, usina: Usina) -> None:
    done = usina("jobs", "list", "--created-after", "yesterday")

    assert done.code == 2
    assert "--created-after" in done.err


def test_a_job_is_shown(platform: FakePlatform, usina: Usina) -> None:
    told = {"told": {"residual": 0.000412345678, "field": "Ux"}}
    failed = job("FAILED", error=FAILED, artifacts=[artifact(b"x" * 2048)], metrics=told)
    platform.on(JOB, answer(failed))

    shown = usina("jobs", "get", JOB_ID)

    assert shown.code == 0
    assert "runner_failed: It broke." in shown.out
    assert "mesh.glb  2.0 KiB  a1" in shown.out
    assert ["residual", "0.000412346"] in [line.split() for line in shown.out.splitlines()]
    assert usina("jobs", "get", JOB_ID, "--json").json["error"]["code"] == "runner_failed"


def test_a_watch_follows_and_fetches(runs: FakePlatform, usina: Usina, tmp_path: Path) -> None:
    done = usina("jobs", "watch", JOB_ID, "--out", "made")

    assert done.code == 0
    assert done.out.splitlines() == ["made/mesh.glb", "made/report.json"]


def test_a_watch_can_print_every_event(runs: FakePlatform, usina: Usina) -> None:
    done = usina("jobs", "watch", JOB_ID, "--events")

    types = [json.loads(line)["type"] for line in done.out.splitlines()]
    assert types == ["job.queued", "job.running", "job.progress", "job.succeeded"]


def test_logs_are_printed_as_they_are(platform: FakePlatform, usina: Usina) -> None:
    platform.on(f"{JOB}/logs", lambda _: text("one\ntwo"))

    assert usina("jobs", "logs", JOB_ID, "--attempt", "2").out == "one\ntwo"
    assert platform.seen[0].query == [("attempt", "2")]
    assert usina("jobs", "logs", JOB_ID, "--json").json["text"] == "one\ntwo"


def test_logs_are_followed(platform: FakePlatform, usina: Usina) -> None:
    line = 'id: 4\nevent: log\ndata: {"text": "one\\n"}\n\n'
    platform.on(f"{JOB}/logs", sse(line), answer(None, 204))
    platform.on(JOB, answer(job("SUCCEEDED")))

    assert usina("jobs", "logs", JOB_ID, "--follow").out == "one\n"


def test_jobs_are_stopped_and_reopened(platform: FakePlatform, usina: Usina) -> None:
    platform.on(f"POST /api/v1/jobs/{JOB_ID}/cancel", answer(job("RUNNING"), 202))
    platform.on(f"POST /api/v1/jobs/{JOB_ID}/retry", problem(409, "job_not_retryable", "Not now."))

    assert usina("jobs", "cancel", JOB_ID).out == f"{JOB_ID}\n"
    assert usina("jobs", "cancel", JOB_ID, "--json").json["status"] == "RUNNING"
    assert usina("jobs", "retry", JOB_ID).code == 1


def test_files_go_up(platform: FakePlatform, usina: Usina, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    platform.on("POST /api/v1/files", lambda seen: answer(file(seen.files[0][3]), 201))

    assert usina("files", "put", "a.png", "b.png").out == "f1\nf1\n"
    assert [seen.files[0][1] for seen in platform.seen] == ["a.png", "b.png"]
    (uploaded,) = usina("files", "put", "a.png", "--name", "c", "--json").json
    assert uploaded["id"] == "f1"
    assert platform.seen[-1].files[0][1] == "c"
    assert usina("files", "put", "none.png").code == 2


def test_files_and_artifacts_come_down(
    platform: FakePlatform, usina: Usina, tmp_path: Path
) -> None:
    platform.on("GET /api/v1/files/f1", answer(file(b"abc")))
    platform.on("GET /api/v1/files/f1/content", ranged(b"abc"))
    platform.on("GET /api/v1/artifacts/a1", answer(artifact(b"glTF")))
    platform.on("GET /api/v1/artifacts/a1/content", ranged(b"glTF"))

    assert usina("files", "get", "f1").out == "chair.png\n"
    assert (tmp_path / "chair.png").read_bytes() == b"abc"
    assert usina("files", "get", "f1", "--out", "-").out == "abc"
    told = usina("files", "get", "a1", "--out", "x.glb", "--json").json
    assert (told["kind"], told["path"]) == ("model", "x.glb")
    assert usina("files", "get", "nothing").code == 5


def test_a_folder_that_cannot_be_written(runs: FakePlatform, usina: Usina, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"")

    done = usina("run", "inflate-v1", "image=chair.png", "--out", "made/deep")

    assert done.code == 1
    assert "made/deep" in done.err
    assert "Traceback" not in done.err


def test_nothing_colourful_off_a_terminal(runs: FakePlatform, usina: Usina) -> None:
    done = usina("run", "inflate-v1", "image=chair.png")

    assert "\x1b" not in done.out + done.err


def text(content: str) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(content)


def test_a_wrong_setting_is_told_by_its_variable_or_option(
    usina: Usina, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USINA_SLOTS", "0")
    monkeypatch.setenv("USINA_WARM_GROWTH", "none")
    wrong = usina("doctor")
    assert wrong.code == 1
    assert "USINA_SLOTS: " in wrong.err
    assert "USINA_WARM_GROWTH: " in wrong.err
    assert "--slots: " in usina("up", "--slots", "2000").err
