"""Tokens. Access tokens are JWTs (RFC 7519, RFC 9068) that say who, in which organization, by which
session.

Only HS256 is read, whatever a token says of itself, and a token without one of its claims is none.
What its holder may is not in it: that is looked up, so that a role that changes, changes at once.

A refresh token names its session and its number in it, under a MAC. So nothing of it has to be
kept: one whose number is not the session's newest was used before, and one that nobody issued is
told apart from that without looking anywhere.
"""

import base64
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from usina.kernel.ids import is_id, new_id

_ALGORITHMS: Final = ("HS256",)
_TYPE: Final = "at+jwt"
_ISSUER: Final = "usina"
_LEEWAY_SECONDS: Final = 5
"""How far the clocks of two machines of a platform may be apart."""
_LONGEST: Final = 2048


_REFRESH: Final = re.compile(r"usina_refresh_([0-9a-f-]{36})_([0-9]{1,9})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that is ours says; ``expires_at`` is in Unix seconds."""

    user_id: str
    organization_id: str
    session_id: str
    expires_at: int


class Tokens:
    """Issues and reads the access tokens of one platform, which is their audience."""

    def __init__(
        self,
        secret: bytes,
        platform_id: str,
        lifetime_seconds: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._platform_id = platform_id
        self.lifetime_seconds = lifetime_seconds
        self._now = now

    def issue(self, user_id: str, organization_id: str, session_id: str) -> str:
        from joserfc import jwt  # loading it costs more than a start may

        issued_at = int(self._now())
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": self._platform_id,
            "sub": user_id,
            "org": organization_id,
            "sid": session_id,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_seconds,
            "jti": new_id(),
        }
        header = {"alg": _ALGORITHMS[0], "typ": _TYPE}
        return jwt.encode(header, claims, self._key, algorithms=_ALGORITHMS)

    def read(self, text: str) -> Claims | None:
        """The claims of a token that is ours and not over; null for everything else."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        if len(text) > _LONGEST:
            return None
        try:
            token = jwt.decode(text, self._key, algorithms=_ALGORITHMS)
            if token.header.get("typ") != _TYPE:
                return None
            self._rules.validate(token.claims)
        except (JoseError, ValueError):
            return None
        said = token.claims
        if not all(isinstance(said[n], str) and is_id(said[n]) for n in ("sub", "org", "sid")):
            return None
        return Claims(said["sub"], said["org"], said["sid"], int(said["exp"]))

    def issue_refresh(self, session_id: str, generation: int) -> str:
        return f"usina_refresh_{session_id}_{generation}_{self._mac(session_id, generation)}"

    def read_refresh(self, text: str) -> tuple[str, int] | None:
        """The session and the number of a refresh token that is ours; null for any other text."""
        found = _REFRESH.fullmatch(text)
        if found is None or not is_id(found[1]):
            return None
        session_id, generation = found[1], int(found[2])
        if not hmac.compare_digest(self._mac(session_id, generation), found[3]):
            return None
        return session_id, generation

    def _mac(self, session_id: str, generation: int) -> str:
        key = hmac.digest(self._secret, b"refresh tokens", "sha256")
        mac = hmac.digest(key, f"{self._platform_id} {session_id} {generation}".encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def seconds_left(self, claims: Claims) -> float:
        return claims.expires_at + _LEEWAY_SECONDS - self._now()

    @cached_property
    def _key(self) -> Any:
        from joserfc.jwk import OctKey

        return OctKey.import_key(self._secret)

    @cached_property
    def _rules(self) -> Any:
        from joserfc.jwt import JWTClaimsRegistry

        return JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": _ISSUER},
            aud={"essential": True, "value": self._platform_id},
            sub={"essential": True},
            org={"essential": True},
            sid={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        )


def looks_like_token(text: str) -> bool:
    """Whether it has the form of a JWT: three parts, of which the first begins with ``{"``."""
    return text.startswith("eyJ") and text.count(".") == 2
