"""What a runner program imports to speak with Usina: one file, no dependencies, Python >= 3.8.

    import usina_runner

    def main(job):
        with job.stage("drawing", upto=0.9):
            (job.outputs / "picture.svg").write_text("<svg/>")
        job.artifact("picture.svg", "image")
        job.report({"shapes": 0})

    usina_runner.run(main)

The program starts in its work folder (``job.json``, ``inputs/``, ``outputs/``), writes JSON lines
to descriptor 3 and reads them from descriptor 4. Started by hand, without a platform, it reads
``job.json`` of the current folder and shows on stderr what it would say. This file may be copied
beside a program that lives in an environment of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Cancelled", "Failure", "InvalidInput", "Job", "run"]

_OUT, _IN = 3, 4
_PROGRESS_EVERY_SECONDS = 0.05
_LOOK_EVERY_SECONDS = 0.01
_HASH_BLOCK = 1 << 20


class Cancelled(BaseException):
    """The job is to stop. Let it pass: ``run`` answers for it.

    Not an ``Exception``, so that a handler meant for ordinary errors does not swallow it.
    """


class Failure(Exception):
    """The job failed for a known cause.

    ``code`` is one of invalid_input, runner_failed, timeout, out_of_memory, unavailable, internal;
    ``reason`` refines it in snake_case; ``retryable`` overrules whether another attempt is made.
    """

    def __init__(
        self, code: str, reason: str | None, message: str, retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.retryable = retryable


class InvalidInput(Failure):
    """The caller's input or parameters can not be used; another attempt would not help."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("invalid_input", reason, message)


class Job:
    """One job: what is asked for, and the ways to tell how it goes.

    ``inputs`` are absolute paths by input name; ``outputs`` is the folder for results;
    ``checkpoint`` is what an earlier attempt saved, or None; ``cores`` is how many threads to use;
    ``fraction`` is the progress told so far, ``seconds`` the time spent by stage.
    """

    def __init__(self, folder: Path, channel: _Channel) -> None:
        told = json.loads((folder / "job.json").read_bytes())
        self.id: str = told["id"]
        self.model: str = told["model"]
        self.model_version: str = told["model_version"]
        self.attempt: int = told["attempt"]
        self.params: dict[str, Any] = told["params"]
        self.inputs: dict[str, list[Path]] = {
            name: [folder / path for path in paths] for name, paths in told["inputs"].items()
        }
        self.checkpoint: Path | None = folder / told["checkpoint"] if told["checkpoint"] else None
        self.cores: int = told["cores"]
        self.notice: str | None = told.get("notice")
        self.outputs = folder / "outputs"
        self.fraction = 0.0
        self.seconds: dict[str, float] = {}
        self._folder = folder
        self._channel = channel
        self._began = time.perf_counter()
        self._stage: str | None = None
        self._next_progress = 0.0
        self._next_metrics = time.monotonic() + _PROGRESS_EVERY_SECONDS

    @property
    def cancelled(self) -> bool:
        """Whether the job is to stop: the platform said so, or the program got SIGTERM."""
        return self._channel.cancelled()

    def check_cancelled(self) -> None:
        """Raises ``Cancelled`` when the job is to stop. Cheap: call it often."""
        if self._channel.cancelled():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Waits; raises ``Cancelled`` as soon as the job is to stop."""
        until = time.monotonic() + seconds
        while True:
            self.check_cancelled()
            left = until - time.monotonic()
            if left <= 0:
                return
            self._channel.wait(min(left, _PROGRESS_EVERY_SECONDS))

    def progress(self, fraction: float, stage: str | None = None) -> None:
        """Tells how far the job is (0 to 1) and what it does; raises ``Cancelled`` like
        ``check_cancelled``. At most 20 lines a second leave, besides changes of stage."""
        self.check_cancelled()
        self.fraction = min(1.0, max(0.0, float(fraction)))
        now = time.monotonic()
        changed = stage is not None and stage != self._stage
        if changed:
            self._stage = stage
        if changed or now >= self._next_progress or fraction >= 1:
            self._next_progress = now + _PROGRESS_EVERY_SECONDS
            self._channel.send(
                {"type": "progress", "progress": self.fraction, "stage": self._stage}
            )

    def stage(self, name: str, upto: float | None = None) -> _Stage:
        """``with job.stage("mask", upto=0.3):`` shows the stage, records its seconds for the
        report and moves the progress to ``upto`` at its end."""
        return _Stage(self, name, upto)

    def log(self, level: str, message: str) -> None:
        """A line of the job's log; ``level`` is debug, info, warning or error."""
        self._channel.send({"type": "log", "level": level, "message": str(message)})

    def metric(self, name: str, value: float | str) -> None:
        """A number or a word about the run, seen while it runs; the same name again replaces what
        it was. A number that is not finite is left out."""
        value = _plain(value) if hasattr(value, "tolist") else value
        if not isinstance(value, float) or math.isfinite(value):
            message = {"type": "metric", "name": name, "value": value}
            now = time.monotonic()
            if now < self._next_metrics:
                self._channel.defer(message)
            else:
                self._next_metrics = now + _PROGRESS_EVERY_SECONDS
                self._channel.send(message)

    def artifact(self, path: str | os.PathLike[str], kind: str, name: str | None = None) -> None:
        """Declares a file in ``outputs/`` as a result; ``path`` may be relative to that folder.

        ``kind`` is model, preview, image, video, report, data or log.
        """
        message = {"type": "artifact", "path": self._told_path(path), "kind": kind, "name": name}
        if kind == "preview":
            self._channel.send(message)
        else:
            self._channel.defer(message)

    def records(self, path: str | os.PathLike[str]) -> None:
        """Names the file in ``outputs/`` whose lines a room of the platform may keep as rows."""
        self._channel.defer({"type": "records", "path": self._told_path(path)})

    def checkpoint_saved(self, path: str | os.PathLike[str]) -> None:
        """Names the file in ``outputs/`` that the next attempt may go on from."""
        self._channel.send({"type": "checkpoint", "path": self._told_path(path)})

    def report(self, content: dict[str, Any]) -> None:
        """Writes ``outputs/report.json`` and declares it: how the result came to be (model,
        parameters, inputs with their SHA-256, seconds by stage, the notice that the model's terms
        ask for) and the given keys."""
        seconds = {name: round(spent, 6) for name, spent in self.seconds.items()}
        seconds["total"] = round(time.perf_counter() - self._began, 6)
        report: dict[str, Any] = {
            "model": self.model,
            "model_version": self.model_version,
            "params": self.params,
            "inputs": {
                name: [_hashed(path) for path in paths] for name, paths in self.inputs.items()
            },
            "seconds": seconds,
        }
        if self.notice is not None:
            report["notice"] = self.notice
        report.update(content)
        try:
            text = json.dumps(report, default=_plain, allow_nan=False)
        except ValueError:
            text = json.dumps(_without_nan(report))
        (self.outputs / "report.json").write_text(text + "\n", encoding="utf-8")
        self.artifact("report.json", "report")

    def _told_path(self, path: str | os.PathLike[str]) -> str:
        """The path as the protocol wants it: relative to the work folder."""
        return os.path.relpath(str(self.outputs / path), str(self._folder))


class _Stage:
    def __init__(self, job: Job, name: str, upto: float | None) -> None:
        self._job, self._name, self._upto = job, name, upto
        self._began = 0.0

    def __enter__(self) -> Job:
        self._began = time.perf_counter()
        self._job.progress(self._job.fraction, self._name)
        return self._job

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        spent = time.perf_counter() - self._began
        self._job.seconds[self._name] = self._job.seconds.get(self._name, 0.0) + spent
        if error is None and self._upto is not None:
            self._job.progress(self._upto)


class _Channel:
    """The two descriptors. No thread: descriptor 4 is looked at when the program asks."""

    def __init__(self) -> None:
        self._cancelled = False
        self._idle = False
        self._leaving = False
        self._ended = False
        self._deferred: list[bytes] = []
        self._waiting = bytearray()
        self._next_look = 0.0
        self._poll = select.poll()
        self._poll.register(_IN, select.POLLIN)
        os.set_inheritable(_OUT, False)
        os.set_inheritable(_IN, False)
        signal.signal(signal.SIGTERM, self._on_term)

    def send(self, message: dict[str, Any]) -> None:
        self.defer(message)
        self._flush()

    def _flush(self) -> None:
        data = b"".join(self._deferred)
        del self._deferred[:]
        while data:
            data = data[os.write(_OUT, data) :]

    def defer(self, message: dict[str, Any]) -> None:
        """Leaves with the next line that is sent, or when the program looks for a cancel."""
        text = json.dumps(message, default=_plain, separators=(",", ":"))
        self._deferred.append(text.encode("ascii") + b"\n")

    def cancelled(self) -> bool:
        if not self._cancelled:
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + _LOOK_EVERY_SECONDS
                self._flush()
                self.wait(0)
        return self._cancelled

    def wait(self, seconds: float) -> None:
        """Until a message comes, at most so long. During a job only ``cancel`` can come."""
        if self._ended:
            time.sleep(seconds)
        elif self._poll.poll(math.ceil(seconds * 1000)):
            self._fill()
            line = self._next_line()
            while line is not None:
                if line.get("type") == "cancel":
                    self._cancelled = True
                line = self._next_line()

    def next(self) -> dict[str, Any] | None:
        """The next message, however long it takes; null when it is time to leave."""
        self._idle = True
        line = self._next_line()
        while line is None and not self._ended and not self._leaving:
            self._fill()
            line = self._next_line()
        self._idle = self._cancelled = False
        return None if self._leaving else line

    def _fill(self) -> None:
        data = os.read(_IN, 65536)
        self._waiting += data
        self._ended = not data

    def _next_line(self) -> dict[str, Any] | None:
        end = self._waiting.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 1]
        return dict(json.loads(line))

    def _on_term(self, number: int, frame: object) -> None:
        self._cancelled = self._leaving = True
        if self._idle:
            sys.exit(0)


class _ByHand(_Channel):
    """Stands in for the platform when somebody starts the program in a terminal."""

    def __init__(self) -> None:
        self._cancelled = self._idle = self._leaving = False
        self._ended = True
        self._next_look = math.inf
        signal.signal(signal.SIGTERM, self._on_term)

    def defer(self, message: dict[str, Any]) -> None:
        sys.stderr.write(json.dumps(message, default=_plain) + "\n")

    send = defer


def run(main: Callable[..., None], load: Callable[[], Any] | None = None) -> None:
    """Runs ``main(job)``, or ``main(job, loaded)`` where ``load`` prepares what jobs share.

    Cold, one job is run and the program ends; warm (``USINA_RUNNER_MODE=warm``) it serves jobs
    until it is told to leave.
    """
    mode = os.environ.get("USINA_RUNNER_MODE")
    channel = _Channel() if mode else _ByHand()
    _write_whole_lines()
    loaded: list[Any] = []

    def prepare() -> None:
        if load is not None:
            loaded.append(load())

    if not _answered(channel, prepare):
        sys.exit(1)
    if mode == "warm":
        channel.send({"type": "ready"})
        _serve(channel, main, loaded)
    elif not _one(channel, main, loaded, Path.cwd()):
        sys.exit(1)


def _serve(channel: _Channel, main: Callable[..., None], loaded: list[Any]) -> None:
    home = str(Path.cwd())
    message = channel.next()
    while message is not None and message.get("type") != "exit":
        if message.get("type") == "run":
            _enter(message["work"])
            _one(channel, main, loaded, Path(message["work"]))
            os.chdir(home)
        message = channel.next()


def _enter(work: str) -> None:
    os.chdir(work)
    os.environ["HOME"] = os.environ["TMPDIR"] = work
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].__dict__["tempdir"] = work


def _one(channel: _Channel, main: Callable[..., None], loaded: list[Any], work: Path) -> bool:
    done = _answered(channel, lambda: main(Job(work, channel), *loaded))
    if done:
        _flush()
        channel.send({"type": "result"})
    return done


def _answered(channel: _Channel, act: Callable[[], None]) -> bool:
    """Acts; what goes wrong is told to the platform, and its traceback to the log."""
    try:
        act()
    except Cancelled:
        error = Failure("cancelled", None, "The program stopped when it was told to.")
    except Failure as failure:
        error = failure
    except MemoryError:
        error = Failure("out_of_memory", None, "The program could not get the memory it needed.")
        _show_traceback()
    except Exception as unexpected:
        kind = type(unexpected).__name__
        error = Failure("runner_failed", _snake(kind), str(unexpected) or kind)
        _show_traceback()
    else:
        return True
    _flush()
    fields = {name: getattr(error, name) for name in ("code", "reason", "message", "retryable")}
    channel.send({"type": "error", **fields})
    return False


def _write_whole_lines() -> None:
    """Output leaves line by line, as on a terminal, so that no message of the job cuts one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)


def _flush() -> None:
    """The log is whole before the end is told."""
    sys.stdout.flush()
    sys.stderr.flush()


def _show_traceback() -> None:
    import traceback

    traceback.print_exc()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _hashed(path: Path) -> dict[str, str]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(_HASH_BLOCK), b""):
            digest.update(block)
    return {"name": path.name, "sha256": digest.hexdigest()}


def _plain(value: Any) -> Any:
    """What JSON knows, for values that it does not: arrays and their scalars, paths."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _without_nan(value: Any) -> Any:
    """The same with null for what is not a finite number."""
    return json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
