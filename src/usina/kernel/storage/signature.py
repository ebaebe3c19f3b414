"""AWS Signature Version 4: requests of our own, and addresses that others may use for a while.

<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html> and
<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

from usina.kernel.storage.s3_address import S3Access

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
LONGEST_SECONDS: Final = 7 * 24 * 3600


def signed_headers(
    access: S3Access,
    method: str,
    url: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> dict[str, str]:
    """The headers to send, the signature and the body's hash among them.

    ``headers`` have names in lower case. The server refuses a body that was damaged on its way.
    """
    body_sha256 = hashlib.sha256(body).hexdigest()
    sent = {**headers, "x-amz-date": now.strftime(_STAMP), "x-amz-content-sha256": body_sha256}
    request = _Request(method, url, encoded(query), sent, body_sha256)
    sent["authorization"] = (
        f"{_ALGORITHM} Credential={access.access_key}/{_scope(access, now)}, "
        f"SignedHeaders={request.header_names}, Signature={request.signature(access, now)}"
    )
    return sent


def signed_url(
    access: S3Access,
    method: str,
    url: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    seconds: int,
    now: datetime,
) -> str:
    """An address that anybody may use with this method, for ``seconds`` from ``now``.

    ``headers`` (names in lower case) must be sent exactly so. The body is not signed.
    """
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise ValueError(f"a signature lasts 1 to {LONGEST_SECONDS} seconds, not {seconds}")
    full_query = encoded(
        {
            **query,
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{access.access_key}/{_scope(access, now)}",
            "X-Amz-Date": now.strftime(_STAMP),
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": ";".join(sorted({*headers, "host"})),
        }
    )
    request = _Request(method, url, full_query, headers, "UNSIGNED-PAYLOAD")
    return f"{url}?{full_query}&X-Amz-Signature={request.signature(access, now)}"


def encoded(query: Mapping[str, str]) -> str:
    """The query of an address in the one form that signatures know: sorted, spaces as ``%20``."""
    pairs = ((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


@dataclass(frozen=True, slots=True)
class _Request:
    """What is signed; paths are made of keys, in which nothing needs an escape."""

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body_sha256: str

    @property
    def header_names(self) -> str:
        return ";".join(sorted({*self.headers, "host"}))

    def signature(self, access: S3Access, now: datetime) -> str:
        parts = urlsplit(self.url)
        headers = sorted({**self.headers, "host": parts.netloc}.items())
        lines = [f"{name}:{' '.join(value.split())}" for name, value in headers]
        whole = [self.method, parts.path or "/", self.query, *lines, "", self.header_names]
        canonical = "\n".join([*whole, self.body_sha256]).encode()
        scope = _scope(access, now)
        digest = hashlib.sha256(canonical).hexdigest()
        told = "\n".join((_ALGORITHM, now.strftime(_STAMP), scope, digest))
        key = f"AWS4{access.secret_key}".encode()
        for step in (*scope.split("/"), told):
            key = hmac.digest(key, step.encode(), "sha256")
        return key.hex()


def _scope(access: S3Access, now: datetime) -> str:
    return f"{now:%Y%m%d}/{access.region}/s3/aws4_request"
