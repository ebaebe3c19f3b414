"""Where a bucket is, and who we are to its server."""

import re
from dataclasses import dataclass, field
from typing import Final, Self

_PLACE: Final = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*)/?"
)


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, and what the keys of this platform begin with there: empty, or ends with ``/``."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Out of ``s3://bucket/prefix``; several platforms may share a bucket so."""
        found = _PLACE.fullmatch(url)
        if found is None or ".." in url:
            raise ValueError("not the address of a bucket, like s3://bucket/prefix")
        prefix = found["prefix"].removeprefix("/")
        return cls(found["bucket"], f"{prefix}/" if prefix else "")


@dataclass(frozen=True, slots=True)
class S3Access:
    """A server and our keys to it; endpoints are ``http(s)://host[:port]``.

    Without an endpoint it is Amazon's of the region. ``public_endpoint`` is the same server as
    clients of the platform reach it: presigned addresses are made for it.
    """

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    endpoint: str | None = None
    public_endpoint: str | None = None

    @property
    def url(self) -> str:
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"

    @property
    def public_url(self) -> str:
        return self.public_endpoint or self.url
