"""An address that a caller names, read in one way only.

What two parsers could read in two ways is refused: the parts that are checked here are the parts
that are connected to, and nothing parses the text again.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from usina.kernel.errors import Invalid
from usina.kernel.guard.reach import PUBLIC_PORTS, Address, Reach

_LONGEST: Final = 2048
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>[/?][\x21-\x7e]*)?",
    re.IGNORECASE | re.ASCII,
)
_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_NOT_ALLOWED: Final = (
    "is not a public address, or not port 80 or 443 of one. The operator of the platform can allow"
    " a network by USINA_WEBHOOK_ALLOWED_NETWORKS."
)


@dataclass(frozen=True, slots=True)
class Target:
    """``host`` is a name in lower case or an address, ``path`` what is asked of it there."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """Whom it is sent to, whatever is asked there."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The host where it is an address and no name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def parse_target(url: str) -> Target:
    """Raises ``ValueError`` with what is wrong, as a clause after the name of the field."""
    if len(url) > _LONGEST:
        raise ValueError(f"has {len(url)} characters; at most {_LONGEST} are possible")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("holds a user or a password, which are not sent")
    if "#" in url:
        raise ValueError("holds a fragment (#), which is never sent")
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(
            "is not the address of a server, like https://hooks.example.org/usina: http or https,"
            " visible ASCII characters only, a name of other letters in its xn-- form"
        )
    secure = found["scheme"].lower() == "https"
    port = int(found["port"] or (443 if secure else 80))
    if not 1 <= port <= 65_535:
        raise ValueError(f"names port {port}; ports go from 1 to 65535")
    path = found["path"] or "/"
    path = f"/{path}" if path.startswith("?") else path
    return Target(secure, _host(found["host"].lower()), port, path)


def _host(text: str) -> str:
    """An address in its one spelling, or a name that no resolver takes for an address."""
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        name = text.removesuffix(".")
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return str(IPv4Address(name))
    except ValueError:
        raise ValueError(f"names {text}, which is no address as it is commonly written") from None
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"names {text!r}, which is no name of a host")
    return name


def check_url(url: str, reach: Reach, pointer: str) -> Target:
    """The address as a target; raises ``Invalid`` at the pointer where it can be none, or plainly
    leads where it may not. What a name leads to is seen when it is connected to."""
    field = pointer.rpartition("/")[2]
    try:
        target = parse_target(url)
    except ValueError as error:
        raise Invalid.at(pointer, f"{field} {error}.") from None
    address = target.address
    if address is not None:
        refused = not reach.allows(address, target.port)
    else:
        local = target.host == "localhost" or target.host.endswith(".localhost")
        refused = not reach.allowed and (local or target.port not in PUBLIC_PORTS)
    if refused:
        message = f"{field}: {target.place} {_NOT_ALLOWED}"
        raise Invalid.at(pointer, message, code="address_not_allowed")
    return target
