"""Painting by diffusers: a program in a Python of its own, kept warm beside this one.

``paint.py`` is all that knows torch. It gets and gives lines of JSON, and pixels as PNG files; its
own words go to the job's log.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from usina.apps.avatars.diffusion.engine import FolderPlace
from usina.apps.avatars.diffusion.order import Order
from usina.apps.avatars.diffusion.painter import PAINT_FROM, PAINT_UPTO, as_png, read_painted
from usina.imaging.array import Bytes
from usina_runner import Cancelled, Failure, Job

_LOOK_EVERY_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 0.7
_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "GOMP_SPINCOUNT": "0",
    "PYTHONUNBUFFERED": "1",
}
"""Nothing is ever looked up on a hub; threads that wait for each other sleep."""

_HIDDEN: Final = ("STABLE_DIFFUSION_AUTH", "PYTHONPATH", "PYTHONHOME", "USINA_RUNNER_MODE")


class LocalPainter:
    """A `usina.apps.avatars.diffusion.painter.Painter`. Its program starts with it, loads beside
    whatever else is done, and is started anew where it had to be ended."""

    def __init__(self, place: FolderPlace, script: Path) -> None:
        self._place, self._script = place, script
        self._program = _Program(place, script)

    def load(self) -> None:
        """Returns once the pipeline is loaded; raises ``Failure``."""
        self._program.loaded(lambda: None)

    def close(self) -> None:
        """Ends the program."""
        self._program.end()

    def side(self, job: Job, order: Order) -> int:
        return order.side or int(self._facts(job)["side"])

    def about(self) -> dict[str, str]:
        told = self._program.facts or {}
        return {"engine": "diffusers"} | {name: str(told[name]) for name in told if name != "side"}

    def paint(self, job: Job, square: Bytes, order: Order) -> Bytes:
        self._facts(job)
        with job.stage("paint", upto=PAINT_UPTO):
            folder = job.outputs.parent
            photo, painted = folder / "square.png", folder / "painted.png"
            photo.write_bytes(as_png(square))
            asked = asdict(order) | {
                "rounds": order.rounds,
                "photo": str(photo),
                "painted": str(painted),
                "cores": job.cores,
            }
            self._follow(job, asked)
            return read_painted(job, painted.read_bytes(), square.shape[0])

    def _facts(self, job: Job) -> Mapping[str, Any]:
        """What the loaded pipeline told of itself."""
        if not self._program.alive:
            self._program.end()
            self._program = _Program(self._place, self._script)
        if self._program.facts is None:
            with job.stage("load"):
                return self._program.loaded(job.check_cancelled)
        return self._program.facts

    def _follow(self, job: Job, asked: dict[str, Any]) -> None:
        """One picture, step by step. A program that does not stop when it is told to is ended, so
        that this one may live on."""
        program = self._program
        number = program.ask(asked)
        try:
            while "done" not in (told := program.next(job.check_cancelled)):
                share = told["step"] / told["steps"]
                job.progress(PAINT_FROM + (PAINT_UPTO - PAINT_FROM) * share)
        except Cancelled:
            program.stop(number)
            raise


class _Program:
    """``paint.py``, running: ``facts`` once it has loaded."""

    def __init__(self, place: FolderPlace, script: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
        self.facts: Mapping[str, Any] | None = None
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._asked = 0
        try:
            self._process = subprocess.Popen(
                [place.python, str(script), str(place.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=kept | _OFFLINE,
            )
        except OSError as error:
            raise Failure(
                "unavailable",
                "model_not_installed",
                f"The Python of the diffusers engine does not start: {error.strerror}.",
            ) from None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def loaded(self, between: Callable[[], None]) -> Mapping[str, Any]:
        """Its facts, once it has loaded; a cancel leaves it loading for the next job."""
        while self.facts is None:
            self.facts = self.next(between).get("loaded")
        return self.facts

    def ask(self, order: dict[str, Any]) -> int:
        """Begins a picture; its number, to stop it by."""
        self._asked += 1
        self._send(order | {"number": self._asked})
        return self._asked

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # one that has ended is found out by `next`
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def next(self, between: Callable[[], None]) -> dict[str, Any]:
        """What it says next; raises ``Failure`` for an error of its own, or its end."""
        while True:
            between()
            try:
                told = self._said.get(timeout=_LOOK_EVERY_SECONDS)
            except queue.Empty:
                continue
            if told is None:
                raise self._ended()
            if "failed" in told:
                raise Failure(**told["failed"])
            return told

    def stop(self, number: int) -> None:
        """Leaves the picture; returns when it has, or when it is dead."""
        self._send({"stop": number})
        until = time.monotonic() + _STOP_SECONDS
        while (left := until - time.monotonic()) > 0:
            try:
                told = self._said.get(timeout=left)
            except queue.Empty:
                break
            if told is None or "done" in told or "failed" in told:
                return
        self.end()

    def end(self) -> None:
        """Dead, and nothing of it left open."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                self._said.put(json.loads(line))
        self._said.put(None)

    def _ended(self) -> Failure:
        number = self._process.wait()
        self._said.put(None)
        if number == -signal.SIGKILL:
            return Failure(
                "out_of_memory",
                "painter_killed",
                "The diffusers program was killed, most likely for want of memory; ask for a "
                "smaller paint_size, or give the machine more.",
            )
        return Failure(
            "runner_failed",
            "painter_ended",
            f"The diffusers program ended with {number}; the job's log has its last words.",
        )
