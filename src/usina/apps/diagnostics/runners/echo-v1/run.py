"""The diagnostic model: does what its parameters ask, in a fixed order, and reports them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import usina_runner

if TYPE_CHECKING:
    from pathlib import Path

_MEMORY_BLOCK = 16 * 1024**2
_FILE_BLOCK = 1024**2
_LINES_AT_ONCE = 1000


def main(job: usina_runner.Job) -> None:
    """Log lines, memory, progress over the seconds, then the failure or the artifacts."""
    params = job.params
    _write_log(job, params.get("log_lines", 0))
    held = _fill_memory(job, params.get("memory_bytes", 0))
    _pass_time(job, params.get("seconds", 0), params.get("progress_steps", 0))
    _fail(job)
    size = params.get("artifact_bytes", 0)
    for number in range(1, params.get("artifacts", 1 if "artifact_bytes" in params else 0) + 1):
        _write_file(job, job.outputs / f"artifact-{number}.bin", size)
    job.report({})
    held.clear()


def _write_log(job: usina_runner.Job, lines: int) -> None:
    for first in range(1, lines + 1, _LINES_AT_ONCE):
        job.check_cancelled()
        last = min(first + _LINES_AT_ONCE, lines + 1)
        sys.stdout.write("".join(f"line {number} of {lines}\n" for number in range(first, last)))


def _fill_memory(job: usina_runner.Job, size: int) -> list[bytes]:
    """Holds so many bytes, each page of them written."""
    held: list[bytes] = []
    for start in range(0, size, _MEMORY_BLOCK):
        job.check_cancelled()
        held.append(b"\x01" * min(_MEMORY_BLOCK, size - start))
    return held


def _pass_time(job: usina_runner.Job, seconds: float, steps: int) -> None:
    began = time.monotonic()
    for step in range(1, steps + 1):
        job.sleep(began + seconds * step / steps - time.monotonic())
        job.progress(step / steps, "echo")
    job.sleep(began + seconds - time.monotonic())


def _fail(job: usina_runner.Job) -> None:
    attempts = job.params.get("fail_attempts")
    code = job.params.get("fail") or ("runner_failed" if attempts else None)
    if code is not None and (attempts is None or job.attempt <= attempts):
        raise usina_runner.Failure(code, "asked_for", f"Attempt {job.attempt} failed as asked.")


def _write_file(job: usina_runner.Job, path: Path, size: int) -> None:
    block = bytes(range(256)) * (_FILE_BLOCK // 256)
    with path.open("wb") as file:
        for start in range(0, size, _FILE_BLOCK):
            job.check_cancelled()
            file.write(block[: size - start])
    job.artifact(path, "data")


usina_runner.run(main)
