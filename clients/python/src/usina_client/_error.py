"""Everything the client raises.

UsinaError
├── TransportError              the platform was not reached, or the connection broke
│   └── TransportTimeoutError   it stayed silent for too long
├── ProtocolError               something answered that is not this API
├── ChecksumError               the bytes received are not those announced
├── WaitTimeoutError            the job had not ended in the time given
├── JobFailedError              the job failed or was cancelled
├── WebhookVerificationError    a webhook is not signed by this secret, or not lately
└── ApiError                    the platform refused (RFC 9457)
    ├── BadRequestError         400
    ├── AuthenticationError     401
    ├── PermissionDeniedError   403
    ├── NotFoundError           404
    ├── ConflictError           409
    ├── GoneError               410
    ├── TooLargeError           413
    ├── UnsupportedMediaError   415
    ├── InvalidRequestError     422
    ├── RateLimitedError        429
    ├── UnavailableError        503
    └── ServerError             any other 5xx
"""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from usina_client._model import (
    Job,
)


class UsinaError(Exception):
    """Base of all errors of this package."""


class WebhookVerificationError(UsinaError):
    """What came as a webhook is not signed by this secret, or not lately."""


class TransportError(UsinaError):
    """The platform was not reached (`request_sent` is false), or the connection broke."""

    def __init__(self, message: str, *, request_sent: bool = True) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class TransportTimeoutError(TransportError):
    """The platform did not accept the connection, or stayed silent, for too long."""


class ProtocolError(UsinaError):
    """Something answered that is not this API (a proxy's page, another service)."""


class ChecksumError(UsinaError):
    """The bytes received are not those that the platform announced."""


class WaitTimeoutError(UsinaError):
    """The job had not ended in the time given; `job` is its last known state."""

    def __init__(self, job: Job, timeout: float) -> None:
        super().__init__(f"Job {job.id} is still {job.status} after {timeout:g} s.")
        self.job = job


class JobFailedError(UsinaError):
    """The job failed or was cancelled; `log_tail` is the end of its log, as far as there is one."""

    def __init__(self, job: Job, log_tail: str = "") -> None:
        reason = f": {job.error}" if job.error else "."
        super().__init__(f"Job {job.id} {job.status}{reason}")
        self.job = job
        self.log_tail = log_tail


class FieldProblem(BaseModel):
    """One wrong place of a request; `pointer` is a JSON pointer into it."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    message: str


class ApiError(UsinaError):
    """A refusal: `code` is stable, `detail` is for people, `problem` is the whole answer."""

    def __init__(
        self,
        status: int,
        problem: Mapping[str, JsonValue],
        *,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = _text(problem, "code") or "unknown"
        self.title = _text(problem, "title") or f"HTTP {status}"
        self.detail = _text(problem, "detail") or self.title
        self.request_id = _text(problem, "request_id")
        self.errors = _field_problems(problem.get("errors"))
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{self.detail} ({status} {self.code})")


class BadRequestError(ApiError):
    """400: the request could not be read."""


class AuthenticationError(ApiError):
    """401: no or bad credentials."""


class PermissionDeniedError(ApiError):
    """403: known, but not allowed."""


class NotFoundError(ApiError):
    """404: not there, or another organization's."""


class ConflictError(ApiError):
    """409: not in the present state."""


class GoneError(ApiError):
    """410: a cursor that the log no longer knows."""


class TooLargeError(ApiError):
    """413: larger than the platform takes."""


class UnsupportedMediaError(ApiError):
    """415: a body of the wrong media type."""


class InvalidRequestError(ApiError):
    """422: read, but not valid; `errors` point at the places."""


class RateLimitedError(ApiError):
    """429: too much at once; `retry_after_seconds` says when to come back."""


class UnavailableError(ApiError):
    """503: a dependency is down, or the platform is stopping."""


class ServerError(ApiError):
    """Any other 5xx: a fault of the platform; `request_id` finds it in its log."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: TooLargeError,
    415: UnsupportedMediaError,
    422: InvalidRequestError,
    429: RateLimitedError,
    503: UnavailableError,
}

_JSON_OBJECT = TypeAdapter(dict[str, JsonValue])
_FIELD_PROBLEMS = TypeAdapter(list[FieldProblem])


def error_of(status: int, body: bytes, retry_after: str | None) -> ApiError:
    """The typed error of an answer; one without a problem document becomes a bare one."""
    try:
        problem = _JSON_OBJECT.validate_json(body)
    except ValidationError:
        problem = {}
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    return kind(status, problem, retry_after_seconds=_seconds(retry_after))


def _text(problem: Mapping[str, JsonValue], key: str) -> str | None:
    value = problem.get(key)
    return value if isinstance(value, str) else None


def _field_problems(value: JsonValue) -> tuple[FieldProblem, ...]:
    try:
        return tuple(_FIELD_PROBLEMS.validate_python(value))
    except ValidationError:
        return ()


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` as the platform sends it: a number of seconds."""
    try:
        return float(retry_after) if retry_after is not None else None
    except ValueError:
        return None
