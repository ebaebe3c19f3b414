"""What a program knows of its job, and what it tells of it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usina_runner.channel import plain
from usina_runner.failure import Cancelled

if TYPE_CHECKING:
    from usina_runner.channel import Channel

_PROGRESS_EVERY_SECONDS = 0.05
_HASH_BLOCK = 1 << 20


class Job:
    """One job: what is asked for, and the ways to tell how it goes.

    ``inputs`` are absolute paths by input name; ``outputs`` is the folder for results;
    ``checkpoint`` is what an earlier attempt saved, or None; ``cores`` is how many threads to use;
    ``fraction`` is the progress told so far, ``seconds`` the time spent by stage.
    """

    def __init__(self, folder: Path, channel: Channel) -> None:
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
        value = plain(value) if hasattr(value, "tolist") else value
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
            text = json.dumps(report, default=plain, allow_nan=False)
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


def _hashed(path: Path) -> dict[str, str]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(_HASH_BLOCK), b""):
            digest.update(block)
    return {"name": path.name, "sha256": digest.hexdigest()}


def _without_nan(value: Any) -> Any:
    """The same with null for what is not a finite number."""
    return json.loads(json.dumps(value, default=plain), parse_constant=lambda _: None)
