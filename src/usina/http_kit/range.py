"""Which bytes of a content a request asks for (RFC 9110, sections 13 and 14)."""

import re
from dataclasses import dataclass
from typing import Final

from usina.kernel.errors import RangeNotSatisfiable

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from ``start`` to before ``stop``."""

    start: int
    stop: int


def wanted_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The one range that is asked for; null for all, for several, and for what is no range.

    Raises ``RangeNotSatisfiable`` when it lies outside.
    """
    match = _RANGE.fullmatch(header) if header is not None else None
    if match is None or match[0].strip() == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        start, stop = max(0, size_bytes - int(last)), size_bytes
    else:
        start, stop = int(first), min(int(last or size_bytes) + 1, size_bytes)
        if last and int(last) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiable(f"The content has {size_bytes} bytes; the range lies outside.")
    return ByteRange(start, stop)


def is_listed(header: str | None, etag: str) -> bool:
    """Whether an ``If-None-Match`` names the tag, weakly compared."""
    if header is None:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
    return header.strip() == "*" or etag in tags


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Where the body of a request belongs; ``range`` is null in a question for the state."""

    range: ByteRange | None
    total: int | None


def content_range(header: str) -> ContentRange | None:
    """A ``Content-Range`` header; null when it is none."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return ContentRange(None, total)
    start, stop = int(match[1]), int(match[2]) + 1
    if start >= stop or (total is not None and stop > total):
        return None
    return ContentRange(ByteRange(start, stop), total)
