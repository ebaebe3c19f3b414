"""``Idempotency-Key`` on creating routes: the same key and body get the first answer again."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from usina.http_kit.call import Call
from usina.http_kit.reply import answer_response
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid
from usina.kernel.idempotency.service import Answer, Claim, Idempotency

_HEADER: Final = "idempotency-key"
KEY_PARAMETER: Final[dict[str, Any]] = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "1 to 255 visible ASCII characters: asking again answers the same again.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
}
"""The header in OpenAPI, for every creating route."""


@dataclass(slots=True)
class Once:
    """A creating request; without a key nothing is looked up and nothing is kept."""

    service: Idempotency
    claim: Claim | None
    fingerprint: str = ""

    @property
    def keyed(self) -> bool:
        return self.claim is not None

    async def replay(self, fingerprint: str) -> Response | None:
        """The first answer, if this request was answered before."""
        if self.claim is None:
            return None
        self.fingerprint = fingerprint
        answer = await self.service.recall(self.claim, fingerprint)
        if answer is None:
            return None
        response = answer_response(answer)
        response.headers["idempotency-replayed"] = "true"
        return response

    def record(self, tx: Transaction, answer: Answer) -> None:
        """Keeps the answer with the effect: both are committed, or neither."""
        if self.claim is not None:
            self.service.record(tx, self.claim, self.fingerprint, answer)

    async def keep(self, answer: Answer) -> None:
        """Keeps the answer after the effect, where a second one would do no harm."""
        if self.claim is not None:
            await self.service.keep(self.claim, self.fingerprint, answer)


@contextmanager
def once(request: Request, call: Call) -> Generator[Once]:
    """Holds the request's key, if it has one, until the request is answered."""
    keys = request.headers.getlist(_HEADER)
    service = call.platform.idempotency
    if not keys:
        yield Once(service, None)
        return
    if len(keys) > 1:
        raise Invalid.at("/Idempotency-Key", "The header is given twice.")
    route = f"{request.method} {request.scope['path']}"
    with service.claim(call.organization_id, route, keys[0]) as claim:
        yield Once(service, claim)


def fingerprint(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
