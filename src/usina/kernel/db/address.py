"""Addresses of PostgreSQL as operators write them: checked, put together, shown without secrets."""

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit

_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_RIGHT: Final = (
    "not an address like postgresql://user:password@host:5432/database; in a password, characters"
    " such as @ : / ? # % are written as %40 %3A %2F %3F %23 %25"
)

_PASSWORD_ASKED: Final = re.compile(r"([?&]password=)[^&#]*")


def check_address(url: str) -> str:
    """The address as it was; a ``ValueError`` tells what is wrong without showing it."""
    try:
        parts = urlsplit(url)
        wrong = parts.port == 0 or parts.scheme not in _SCHEMES or bool(parts.fragment)
    except ValueError:  # a port that is no number, half a bracket
        raise ValueError(_RIGHT) from None
    if wrong or "@" in (parts.hostname or "") or not unquote(parts.path).strip("/"):
        raise ValueError(_RIGHT)
    if parts.netloc.count("@") > 1 or "/" in parts.path[1:]:
        raise ValueError(_RIGHT)
    return url


def address_of(host: str, port: int, user: str, password: str | None, database: str | None) -> str:
    """The address of parts; a ``host`` that is a folder holds the server's socket."""
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    name = quote(database or user, safe="")
    if host.startswith("/"):
        return f"postgresql://{who}@/{name}?host={quote(host, safe='')}&port={port}"
    where = f"[{host}]" if ":" in host else host
    return f"postgresql://{who}@{where}:{port}/{name}"


def shown(url: str) -> str:
    """The address without its password, as it may be printed."""
    hidden = _PASSWORD_ASKED.sub(r"\1********", url)
    scheme, there, rest = hidden.partition("://")
    who, at, where = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    return f"{scheme}{there}{user}{':********' if colon else ''}{at}{where}"
