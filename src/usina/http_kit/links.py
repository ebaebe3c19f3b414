"""Signed links: a path that its holder may use without a key, with one method, for a while."""

import base64
import hmac
import math
import time
from typing import Final
from urllib.parse import parse_qs

from usina.kernel.errors import Unauthorized

_EXPIRES: Final = "expires"
_SIGNATURE: Final = "signature"
_SIGNATURE_BYTES: Final = 16
_LONGEST_MOMENT: Final = 15


def sign(secret: bytes, path: str, seconds: float, *, method: str = "GET") -> str:
    """The path with a signature that is good for ``seconds`` or up to a twelfth longer.

    The end is rounded up, so that a page that is drawn anew finds the same address for a while
    and its pictures in the cache.
    """
    step = max(1, int(seconds) // 12)
    expires = math.ceil((time.time() + seconds) / step) * step
    return f"{path}?{_EXPIRES}={expires}&{_SIGNATURE}={_signature(secret, method, path, expires)}"


def verify(secret: bytes, path: str, query: bytes, *, method: str = "GET") -> None:
    """Raises ``Unauthorized`` unless the query signs this path and method and is not over."""
    fields = parse_qs(query.decode("latin-1"))
    expires = fields.get(_EXPIRES, [""])
    given = fields.get(_SIGNATURE, [""])
    if len(expires) != 1 or len(given) != 1 or not _is_moment(expires[0]):
        raise _wrong()
    moment = int(expires[0])
    right = _signature(secret, method, path, moment)
    if not hmac.compare_digest(right.encode(), given[0].encode()):
        raise _wrong()
    if moment <= time.time():
        raise Unauthorized("This link is no longer good; ask for a new one.", code="link_expired")


def is_signed(query: bytes) -> bool:
    """Whether the query claims to hold a signature."""
    return f"{_SIGNATURE}=".encode() in query


def _signature(secret: bytes, method: str, path: str, expires: int) -> str:
    """128 bits of HMAC-SHA256, in 22 characters."""
    digest = hmac.digest(secret, f"{method} {path} {expires}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).rstrip(b"=").decode()


def _is_moment(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_MOMENT


def _wrong() -> Unauthorized:
    return Unauthorized("This link is not signed by this platform.", code="link_invalid")
