"""How a job ends other than well."""

from __future__ import annotations


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
