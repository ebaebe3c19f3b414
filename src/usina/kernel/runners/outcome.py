"""How an attempt's program ended, in the words of the contract."""

import signal
from dataclasses import dataclass, field
from pathlib import Path

from usina.kernel.runners.program import Exit
from usina.kernel.runners.protocol import DeclaredArtifact


@dataclass(frozen=True, slots=True)
class Failure:
    """``retryable`` is null where the code's own rule holds."""

    code: str
    reason: str | None
    message: str
    retryable: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """``failure`` is null for a success; ``outputs`` are declared, not yet looked at."""

    failure: Failure | None
    outputs: tuple[DeclaredArtifact, ...] = ()
    metrics: dict[str, float | int | str] = field(default_factory=dict[str, float | int | str])
    exit: Exit | None = None
    peak_memory_bytes: int | None = None
    checkpoint: Path | None = None

    @classmethod
    def failed(cls, failure: Failure) -> "Outcome":
        return cls(failure)


def failure_of_exit(ended: Exit, log_tail: str, memory_bytes: int) -> Failure:
    """Why a program that told neither a result nor an error is gone."""
    last = f" Its last words: {log_tail}" if log_tail else ""
    if ended.refused is not None:
        return Failure("unavailable", "model_not_installed", f"It can not start: {ended.refused}.")
    if ended.cause == "out_of_memory":
        mebibytes = memory_bytes // 1024**2
        return Failure("out_of_memory", None, f"It used more than its {mebibytes} MiB of memory.")
    if ended.cause == "too_many_processes":
        return Failure("runner_failed", ended.cause, "It started more processes than it may.")
    if ended.cause == "launcher_lost":
        return Failure("internal", ended.cause, "The keeper of the program was killed.")
    if ended.signal is not None:
        name = signal.Signals(ended.signal).name
        return Failure("runner_failed", name.lower(), f"It was ended by {name}.{last}")
    if ended.code == 0:
        return Failure("runner_failed", "no_result", f"It ended without a result.{last}")
    return Failure("runner_failed", "exit_code", f"It ended with exit code {ended.code}.{last}")


CANCELLED = Failure("cancelled", None, "The job was cancelled on request.")


def timed_out(seconds: float) -> Failure:
    return Failure("timeout", None, f"It ran longer than its {seconds:g} s.")
