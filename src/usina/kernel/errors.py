"""What a caller may be told: one exception per kind of refusal, each with a stable code.

    Problem
    ├── Malformed             400 malformed_json
    ├── Unauthorized          401 unauthorized
    ├── Forbidden             403 forbidden
    ├── NotFound              404 not_found
    ├── Conflict              409 (code given)
    ├── Gone                  410 cursor_gone
    ├── TooLarge              413 too_large
    ├── UnsupportedMedia      415 unsupported_media_type
    ├── RangeNotSatisfiable   416 range_not_satisfiable
    ├── Invalid               422 (code given)
    ├── TooMany               429 rate_limited
    └── Unavailable           503 (code given)

The message of a problem is shown to the caller: it says what was wrong, where, and what to do,
and never holds a host path, SQL or a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong place of a request; ``pointer`` is a JSON pointer (RFC 6901) into it."""

    pointer: str
    message: str


class Problem(Exception):
    """A refusal that the caller may see (RFC 9457)."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    code: str = "internal"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        if code is not None:
            self.code = code


class Malformed(Problem):
    status, title, code = 400, "Malformed request", "malformed_json"


class Unauthorized(Problem):
    status, title, code = 401, "No valid credentials", "unauthorized"


class Forbidden(Problem):
    status, title, code = 403, "Not allowed", "forbidden"


class NotFound(Problem):
    """Unknown, malformed and another organization's ids all answer this, with one body."""

    status, title, code = 404, "Not found", "not_found"

    def __init__(self, detail: str = "There is nothing at this address.") -> None:
        super().__init__(detail)


class Conflict(Problem):
    status, title, code = 409, "Conflict with the present state", "conflict"


class Gone(Problem):
    status, title, code = 410, "No longer there", "cursor_gone"


class TooLarge(Problem):
    status, title, code = 413, "Too large", "too_large"


class UnsupportedMedia(Problem):
    status, title, code = 415, "Media type not supported", "unsupported_media_type"


class RangeNotSatisfiable(Problem):
    status, title, code = 416, "Range not satisfiable", "range_not_satisfiable"


class Invalid(Problem):
    status, title, code = 422, "Invalid request", "validation_failed"

    @classmethod
    def at(cls, pointer: str, message: str, *, code: str = "validation_failed") -> "Invalid":
        """One wrong place, named by its pointer."""
        return cls(message, code=code, errors=(FieldError(pointer, message),))


class TooMany(Problem):
    status, title, code = 429, "Too many requests", "rate_limited"

    def __init__(self, detail: str, retry_after_seconds: int, *, code: str | None = None) -> None:
        super().__init__(detail, code=code, retry_after_seconds=retry_after_seconds)


class Unavailable(Problem):
    status, title, code = 503, "Unavailable", "unavailable"

    def __init__(
        self, detail: str, *, code: str | None = None, retry_after_seconds: int = 5
    ) -> None:
        super().__init__(detail, code=code, retry_after_seconds=retry_after_seconds)


class StorageFull(Unavailable):
    code = "storage_full"

    def __init__(self) -> None:
        super().__init__(
            "The disk of the store is full; free some space and send the request again.",
            retry_after_seconds=30,
        )
