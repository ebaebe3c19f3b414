"""A server that does everything wrong, and what a job is told of each of it."""

import base64
import contextlib
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from usina.apps.cog import predict
from usina.apps.cog.envelope import DataFile, Request, Unreadable, read
from usina.apps.cog.model import Model
from usina.apps.cog.predict import main
from usina.apps.cog.probe import reason
from usina.apps.cog.spec import Spec
from usina_runner import Failure, Job

READY = {"status": "READY", "setup": {"started_at": "then", "logs": "loading\nno weights\n"}}
DONE = {"status": "succeeded", "output": "well"}
Answers = dict[str, Callable[["Hostile"], tuple[int, bytes]]]


class Hostile:
    """Answers ``VERB /path`` as it is told; ``asked`` are the predictions that were asked for."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []
        self.cancelled = threading.Event()
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                if self.command == "PUT":
                    hostile.asked.append(json.loads(body))
                if self.path.endswith("/cancel"):
                    hostile.cancelled.set()
                kind = "PUT" if self.command == "PUT" else f"{self.command} {self.path}"
                status, said = hostile.answers.get(kind, lambda _: (404, b"{}"))(hostile)
                self.send_response(status)
                promised = len(said) + (1000 if said.endswith(b"CUT") else 0)
                self.send_header("Content-Length", str(promised))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(said)

            do_GET = do_PUT = do_POST = _answer  # noqa: N815  # as its base has it

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Not on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Quiet:
    """What a program says to the platform, for a job without one."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def cancelled(self) -> bool:
        return False

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def send(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    defer = send


def told(value: Any, status: int = 200) -> Callable[[Hostile], tuple[int, bytes]]:
    return lambda _: (status, json.dumps(value).encode())


def said(body: bytes, status: int = 200) -> Callable[[Hostile], tuple[int, bytes]]:
    return lambda _: (status, body)


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hostile]]:
    """Does a job for each of ``asks`` on a server with these answers; what goes wrong is raised."""
    monkeypatch.chdir(tmp_path)
    made: list[Hostile] = []

    def run(
        answers: Answers, *, files: bool = True, asks: Sequence[dict[str, Any]] = ({},)
    ) -> Hostile:
        hostile = Hostile({"GET /health-check": told(READY), **answers})
        made.append(hostile)
        (tmp_path / "outputs").mkdir(exist_ok=True)
        model = Model(Spec(hostile.url, "schema-1", {}, files=files))
        for params in asks:
            job = {"id": "1", "model": "m", "model_version": "1", "attempt": 1, "params": params}
            job |= {"inputs": {}, "checkpoint": None, "cores": 1}
            (tmp_path / "job.json").write_text(json.dumps(job))
            channel: Any = Quiet()
            main(Job(tmp_path, channel), model)
        return hostile

    yield run
    for hostile in made:
        hostile.close()


FAILURES: list[tuple[str, Answers, str, str, str]] = [
    ("html", {"PUT": said(b"<html>hello</html>")}, "unavailable", "no_cog_server", "address"),
    ("missing", {"PUT": said(b"", 404)}, "unavailable", "no_cog_server", "address"),
    ("cut", {"PUT": said(b'{"status": CUT')}, "unavailable", "model_server_lost", "own log"),
    (
        "refusal",
        {"PUT": told({"detail": [{"loc": ["body", "input", "steps"], "msg": "too many"}]}, 422)},
        *("invalid_input", "refused_by_model", "steps: too many"),
    ),
    ("size", {"PUT": said(b"", 413)}, "invalid_input", "too_large_for_model", "larger"),
    (
        "crash",
        {"PUT": told({"detail": "tensor is no image"}, 500)},
        *("runner_failed", "prediction_failed", "tensor is no image"),
    ),
    (
        "failed",
        {"PUT": told({"status": "failed", "error": "no face"})},
        *("runner_failed", "prediction_failed", "no face"),
    ),
    (
        "canceled",
        {"PUT": told({"status": "canceled"})},
        *("runner_failed", "prediction_canceled", "cancelled"),
    ),
    ("odd", {"PUT": told({"status": "asleep"})}, "runner_failed", "unreadable_output", "asleep"),
    (
        "base64",
        {"PUT": told({**DONE, "output": "data:image/png;base64,!!!!"})},
        *("runner_failed", "unreadable_output", "base64"),
    ),
    (
        "broken while waiting",
        {
            "PUT": told({"error": "busy"}, 409),
            "GET /health-check": told({**READY, "status": "DEFUNCT"}),
        },
        *("unavailable", "model_server_broken", "no weights"),
    ),
]


@pytest.mark.parametrize(
    ("answers", "code", "why", "words"),
    [each[1:] for each in FAILURES],
    ids=[f[0] for f in FAILURES],
)
def test_each_failure_says_whose_it_is_and_what_to_do(
    attempt: Callable[..., Hostile], answers: Answers, code: str, why: str, words: str
) -> None:
    with pytest.raises(Failure) as caught:
        attempt(answers)
    assert (caught.value.code, caught.value.reason) == (code, why)
    assert words in caught.value.message


def test_a_server_that_is_busy_or_starts_is_waited_for(
    attempt: Callable[..., Hostile], tmp_path: Path
) -> None:
    states = iter(["STARTING", "BUSY", "READY"])
    answers = iter([(503, b'{"error": "setup"}'), (409, b"{}"), (200, json.dumps(DONE).encode())])
    attempt(
        {
            "PUT": lambda _: next(answers),
            "GET /health-check": lambda _: told({**READY, "status": next(states, "READY")})(_),
        }
    )
    assert (tmp_path / "outputs" / "output.txt").read_text() == "well"


def test_a_server_that_can_not_reach_us_is_asked_to_wait(
    attempt: Callable[..., Hostile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_HEARD_WITHIN_SECONDS", 0.1)

    def put(hostile: Hostile) -> tuple[int, bytes]:
        first = "webhook" in hostile.asked[-1]
        state = {"status": "starting"} if first else DONE
        return (202 if first else 200), json.dumps(state).encode()

    hostile = attempt({"PUT": put}, files=False)
    assert hostile.cancelled.is_set(), "what nobody hears of is not left to run"
    assert [("webhook" in asked) for asked in hostile.asked] == [True, False]
    assert (tmp_path / "outputs" / "output.txt").read_text() == "well"


def over_at_once(hostile: Hostile) -> tuple[int, bytes]:
    """The answer, or where it is to come by a call, that call."""
    asked = hostile.asked[-1]
    done = json.dumps({**DONE, "metrics": {"predict_time": 0.01}}).encode()
    if "completed" not in asked.get("webhook_events_filter", ()):
        return 200, done
    threading.Thread(target=call, args=(asked["webhook"], done)).start()
    return 202, b'{"status": "starting"}'


def call(url: str, body: bytes) -> None:
    with urllib.request.urlopen(url, body):
        pass


@pytest.mark.parametrize(
    ("new", "files", "called"),
    [
        (True, True, [True, False, False, True]),
        (True, False, [True, False, False, True]),
        (False, True, [True, False, False, True]),
        (False, False, [True, True, True, True]),
    ],
    ids=["new, files", "new", "old, files", "old, which hears no cancel while it is waited for"],
)
def test_what_was_over_at_once_is_waited_for_when_it_is_asked_again(
    attempt: Callable[..., Hostile], new: bool, files: bool, called: list[bool]
) -> None:
    server = {"GET /": told({"cog_version": "0.23.1"})} if new else {}
    asks = [{"steps": 1}, {"steps": 1}, {"steps": 1}, {"steps": 50}]
    hostile = attempt({"PUT": over_at_once, **server}, files=files, asks=asks)
    assert ["webhook" in asked for asked in hostile.asked] == called


def test_what_did_not_come_to_its_end_is_watched_when_it_is_asked_again(
    attempt: Callable[..., Hostile], tmp_path: Path
) -> None:
    """Cancelled, perhaps, because it took so long."""
    attempt({"PUT": over_at_once})
    model, channel = Model(Spec("http://127.0.0.1:1", "schema-1", {})), Quiet()
    job = Job(tmp_path, channel)  # pyright: ignore[reportArgumentType]
    model.learn(job, 0.01)
    assert model.expects_brief(job)
    assert not model.expects_brief(job)


def test_a_server_that_breaks_while_it_is_waited_for_is_not_waited_for(
    attempt: Callable[..., Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_LOOK_SECONDS", 0.1)
    over = threading.Event()

    def put(hostile: Hostile) -> tuple[int, bytes]:
        if len(hostile.asked) == 1:
            return over_at_once(hostile)
        hostile.answers["GET /health-check"] = told({**READY, "status": "DEFUNCT"})
        over.wait(60)
        return 500, b"{}"

    try:
        with pytest.raises(Failure) as caught:
            attempt({"PUT": put, "GET /": told({"cog_version": "0.23.1"})}, asks=({}, {}))
    finally:
        over.set()
    assert caught.value.reason == "model_server_broken"


def test_what_a_dead_attempt_left_running_is_cancelled_first(
    attempt: Callable[..., Hostile],
) -> None:
    answers = iter([(202, b'{"status": "processing"}'), (200, json.dumps(DONE).encode())])
    hostile = attempt({"PUT": lambda _: next(answers)})
    assert hostile.cancelled.is_set()
    assert [asked["id"] for asked in hostile.asked] == ["1", "1"]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"GET /health-check": told({**READY, "status": "SETUP_FAILED"})}, "no weights"),
        ({"GET /health-check": said(b"<html>")}, "no Cog server"),
        ({"GET /openapi.json": told({"openapi": "3.0"})}, "describes no Input"),
        (
            {"GET /openapi.json": told({"components": {"schemas": {"Input": {"type": "object"}}}})},
            "usina runner add-cog",
        ),
        ({"GET /health-check": told({**READY, "status": "STARTING"})}, None),
    ],
)
def test_the_probe_says_why_not(answers: Answers, words: str | None) -> None:
    hostile = Hostile({"GET /health-check": told(READY), **answers})
    found = reason(Spec(hostile.url, "schema-1", {}))
    hostile.close()
    assert found is None if words is None else words in str(found)


def test_files_inside_of_a_text_become_files_however_it_is_cut(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5
    uri = "data:text/plain;charset=utf-8;base64," + base64.b64encode(data).decode()
    value = {"input": {"image": uri}, "output": [uri, "data:,plain", {"a": 'q"\\', "b": uri}]}
    text = json.dumps(value).encode()
    for size in (1, 2, 3, 7, 64, len(text)):
        place = tmp_path / str(size)
        place.mkdir()
        found = read((text[at : at + size] for at in range(0, len(text), size)), place / "part")
        first, plain, table = found["output"]
        assert isinstance(first, DataFile)
        assert (first.path.read_bytes(), first.media_type) == (data, "text/plain")
        assert (plain, table["a"]) == ("data:,plain", 'q"\\')
        assert table["b"].path.read_bytes() == data
        assert len([*place.iterdir()]) == 2, "our own input is not kept"
    with pytest.raises(Unreadable):
        read([text[:-3]], tmp_path / "part")


def test_a_request_holds_files_of_any_size_as_parts(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    for size in (0, 1, 2, 3, 1_000_001):
        file.write_bytes(b"x" * size)
        request = Request({"input": {"image": file, "many": [file], "text": "ü"}})
        body = b"".join(request)
        assert len(body) == len(request)
        uri = "data:image/png;base64," + base64.b64encode(b"x" * size).decode()
        assert json.loads(body) == {"input": {"image": uri, "many": [uri], "text": "ü"}}
