"""Names of things: UUIDv7 (RFC 9562), lower case, ordered by time of creation."""

import re

from uuid_utils import uuid7

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """A fresh id; later ids of one process sort after earlier ones."""
    return str(uuid7())


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical lower-case form."""
    return _UUID.fullmatch(text) is not None
