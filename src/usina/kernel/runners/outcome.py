"""How a run ends, in the words of the contract."""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from usina.kernel.runners.gate import Value
from usina.kernel.runners.protocol import DeclaredArtifact

_HOST_PATH: Final = re.compile(r"(?<![\w./:])/(?:[^\s/'\":,;()<>\[\]]+/)+")
_LIMITS: Final = {
    "too_many_processes": ("The program started more processes than it may.", None),
    "too_much_disk": ("The program kept more on the disk than it may.", False),
    "too_many_files": ("The program made more files than it may.", False),
}
"""What is said of a limit, and whether the job is repeated."""
_LAST_WORDS: Final = 400
_LAST_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program's tree ended, by its launcher.

    ``refused`` says why it could not even start, ``missing`` which layers of its sandbox could not
    be put on, each with the reason; ``cause`` is ``out_of_memory``, ``too_many_processes``,
    ``too_much_disk``, ``too_many_files`` or ``launcher_lost`` where it did not end by itself.
    """

    code: int | None = None
    signal: int | None = None
    cause: str | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None
    refused: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Failure:
    """``retryable`` is null where the code's own rule holds."""

    code: str
    reason: str | None
    message: str
    retryable: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """``failure`` is null for a success; ``outputs`` are declared, not yet looked at; ``exit`` is
    null while the program stays for its next job; ``log_tail`` are the last bytes of its log;
    ``sandbox`` is every layer and whether it was on, null when no program was started."""

    failure: Failure | None
    outputs: tuple[DeclaredArtifact, ...] = ()
    metrics: Mapping[str, Value] = field(default_factory=dict[str, Value])
    exit: Exit | None = None
    peak_memory_bytes: int | None = None
    log_tail: str = ""
    sandbox: Mapping[str, bool] | None = None

    @classmethod
    def failed(cls, failure: Failure) -> "Outcome":
        """The outcome of a run that never came to its program."""
        return cls(failure)


CANCELLED: Final = Failure("cancelled", None, "The job was cancelled on request.")
INTERRUPTED: Final = Failure("worker_lost", "worker_stopped", "The worker was stopped.")
"""Told as a cancel is, so that a program can save where it is; the job itself goes on elsewhere."""


def timed_out(seconds: float) -> Failure:
    """The failure of a job that took longer than it was given."""
    return Failure("timeout", None, f"The job ran longer than its {seconds:g} s.")


def failure_of_exit(ended: Exit, log_tail: str, memory_bytes: int) -> Failure:
    """Why a program that told neither a result nor an error is gone."""
    if ended.missing:
        return Failure("unavailable", "sandbox_incomplete", _not_enclosed(ended.missing))
    if ended.refused is not None:
        return Failure("unavailable", "model_not_installed", _not_started(ended.refused))
    if ended.cause == "out_of_memory":
        mebibytes = memory_bytes // 1024**2
        return Failure("out_of_memory", None, f"The program needed more than {mebibytes} MiB.")
    if ended.cause in _LIMITS:
        return Failure("runner_failed", ended.cause, *_LIMITS[ended.cause])
    if ended.cause == "launcher_lost":
        return Failure("internal", ended.cause, "The keeper of the program was killed.")
    if ended.signal is not None:
        name = _signal_name(ended.signal)
        told = f"The program was ended by {name}."
        return Failure("runner_failed", name.lower(), told + last_words(log_tail))
    if ended.code == 0:
        told = "The program ended without a result."
        return Failure("runner_failed", "no_result", told + last_words(log_tail))
    told = f"The program ended with exit code {ended.code}."
    return Failure("runner_failed", "exit_code", told + last_words(log_tail))


def last_words(log_tail: str) -> str:
    """The end of a log as the end of a message: bounded, without host paths."""
    lines = [line.strip() for line in log_tail.splitlines() if line.strip()][-_LAST_LINES:]
    words = without_host_paths(" | ".join(lines))[-_LAST_WORDS:]
    return f" It last wrote: {words}" if words else ""


def without_host_paths(text: str) -> str:
    """The text with every absolute path cut to its last part."""
    return _HOST_PATH.sub("", text)


def _not_started(why: str) -> str:
    return f"The program could not be started: {without_host_paths(why)}."


def _not_enclosed(missing: Mapping[str, str]) -> str:
    layers = ", ".join(f"{name} ({why})" for name, why in missing.items())
    return f"USINA_SANDBOX is full, and this machine does not allow: {layers}. See usina doctor."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
