"""Every failure as an exit code and as words, or with --json as a problem object."""

import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

import typer

from usina.faces.cli.output import Data, as_json, json_wanted, say

if TYPE_CHECKING:
    from usina_client import ApiError


class ExitCode(IntEnum):
    OK = 0
    ERROR = 1
    USAGE = 2
    JOB_FAILED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    TIMED_OUT = 6
    UNAVAILABLE = 7
    INTERRUPTED = 130


class CommandError(Exception):
    """A failure of the command line's own, with what to do about it."""

    def __init__(
        self, message: str, *, code: str = "error", exit_code: ExitCode = ExitCode.ERROR
    ) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code


def report(error: BaseException) -> ExitCode:
    """Say what went wrong, on stderr, and give the exit code that means it."""
    if isinstance(error, typer.TyperException):
        return _misused(error)
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return _tell(ExitCode.INTERRUPTED, "interrupted", "Interrupted.")
    if isinstance(error, CommandError):
        return _tell(error.exit_code, error.code, str(error))
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return _tell(ExitCode.ERROR, "error", f"{name}{error.strerror or error}")
    if "usina.kernel.errors" in sys.modules and (told := _report_of_kernel(error)) is not None:
        return told
    if "usina_client" in sys.modules:
        return _report_of_client(error)
    return _unexpected(error)


def _report_of_kernel(error: BaseException) -> ExitCode | None:
    """A refusal that was made here, without a platform, in the form of one that was answered."""
    from usina.kernel.errors import Problem

    if not isinstance(error, Problem):
        return None
    if json_wanted():
        places = [{"pointer": each.pointer, "message": each.message} for each in error.errors]
        problem: dict[str, Data] = {"type": "about:blank", "title": error.title}
        problem |= {"status": error.status, "detail": error.detail, "code": error.code}
        say(as_json(problem | ({"errors": places} if places else {})))
    else:
        say(f"usina: {error.detail}")
        say(*(f"  {place.pointer}: {place.message}" for place in error.errors))
        say(*(f"  {note}" for note in getattr(error, "__notes__", ())))
    return _EXIT_BY_STATUS.get(error.status, ExitCode.ERROR)


def _misused(error: typer.TyperException) -> ExitCode:
    """As typer itself shows it: the command's usage, where to find help, what was wrong."""
    shown: Callable[[], None] | None = getattr(error, "show", None)
    if shown is None or json_wanted():
        return _tell(ExitCode.USAGE, "usage", error.format_message())
    shown()
    return ExitCode.USAGE


def _report_of_client(error: BaseException) -> ExitCode:
    from usina_client import ApiError, JobFailedError, TransportError, UsinaError

    if isinstance(error, ApiError):
        return _refused(error)
    if isinstance(error, JobFailedError):
        code = error.job.error.code if error.job.error else "cancelled"
        tail = {"log_tail": error.log_tail}
        exit_code = _tell(ExitCode.JOB_FAILED, code, str(error), **tail)
        if error.log_tail and not json_wanted():
            say("The end of its log:", *(f"  {line}" for line in error.log_tail.splitlines()))
        return exit_code
    if isinstance(error, TransportError):
        return _tell(ExitCode.UNAVAILABLE, "unreachable", str(error))
    if isinstance(error, UsinaError):
        return _tell(ExitCode.ERROR, "error", str(error))
    return _unexpected(error)


def _refused(error: "ApiError") -> ExitCode:
    if json_wanted():
        say(as_json(error.problem))
    else:
        say(f"usina: {error.detail}")
        say(*(f"  {place.pointer}: {place.message}" for place in error.errors))
        say(*(f"  {note}" for note in getattr(error, "__notes__", ())))
        if error.retry_after_seconds is not None:
            say(f"  Try again in {error.retry_after_seconds:g} s.")
        if error.status >= 500 and error.request_id:
            say(f"  The platform's log knows it as request {error.request_id}.")
    return _EXIT_BY_STATUS.get(error.status, ExitCode.ERROR)


_EXIT_BY_STATUS = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    429: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
}


def _unexpected(error: BaseException) -> ExitCode:
    if os.environ.get("USINA_LOG_LEVEL") == "debug":
        traceback.print_exception(error)
    words = f"{type(error).__name__}: {error} (USINA_LOG_LEVEL=debug shows where)"
    return _tell(ExitCode.ERROR, "internal", words)


def _tell(exit_code: ExitCode, code: str, detail: str, **more: Data) -> ExitCode:
    if json_wanted():
        problem: dict[str, Data] = {"type": "about:blank", "code": code, "detail": detail}
        say(as_json(problem | more))
    else:
        say(f"usina: {detail}")
    return exit_code
