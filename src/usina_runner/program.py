"""A program from its start to its end: one job, or job after job while it stays loaded."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usina_runner.channel import ByHand, Channel
from usina_runner.failure import Cancelled, Failure
from usina_runner.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable


def run(main: Callable[..., None], load: Callable[[], Any] | None = None) -> None:
    """Runs ``main(job)``, or ``main(job, loaded)`` where ``load`` prepares what jobs share.

    Cold, one job is run and the program ends; warm (``USINA_RUNNER_MODE=warm``) it serves jobs
    until it is told to leave.
    """
    mode = os.environ.get("USINA_RUNNER_MODE")
    channel = Channel() if mode else ByHand()
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


def _serve(channel: Channel, main: Callable[..., None], loaded: list[Any]) -> None:
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


def _one(channel: Channel, main: Callable[..., None], loaded: list[Any], work: Path) -> bool:
    done = _answered(channel, lambda: main(Job(work, channel), *loaded))
    if done:
        _flush()
        channel.send({"type": "result"})
    return done


def _answered(channel: Channel, act: Callable[[], None]) -> bool:
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
