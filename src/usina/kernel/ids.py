"""Names of things: UUIDv7 (RFC 9562), lower case, ordered by time of creation."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from uuid_utils import uuid7

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_GIVEN: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """A fresh id; later ids of one process sort after earlier ones."""
    return str(uuid7())


def request_id(given: str | None) -> str:
    """The id that a caller gave its request; a fresh one where that is not there or not sane."""
    return given if given is not None and _GIVEN.fullmatch(given) else new_id()


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical lower-case form."""
    return _UUID.fullmatch(text) is not None


def moment_of(an_id: str) -> datetime:
    """When the id was made, by the clock of who made it."""
    return _EPOCH + int(an_id[:8] + an_id[9:13], 16) * _MILLISECOND


def first_id(moment: datetime) -> str:
    """What all ids of the moment and later are not smaller than."""
    digits = f"{(moment - _EPOCH) // _MILLISECOND:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
