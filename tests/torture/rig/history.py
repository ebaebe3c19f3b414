"""What clients asked and what they were told, request by request."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

CANARY: Final = "canary-of-the-torture-rig"
"""Stands in every secret that the platform is given; in no answer may it be seen."""

_LEAKS: Final = re.compile(
    rf'Traceback \(most recent|File "/|{CANARY}|asyncpg\.|sqlalchemy\.|SELECT .* FROM |'
    r"deadlock detected|could not serialize"
)


@dataclass(slots=True)
class Operation:
    """``status`` is null where no answer came; ``fault`` says why. Times are monotonic."""

    organization: str
    verb: str
    subject: str
    invoked: float
    answered: float = 0.0
    status: int | None = None
    retry_after: bool = False
    fault: str = ""
    job: str = ""
    job_status: str = ""
    leak: str = ""
    foreign: bool = False
    """It was asked about what belongs to another organization."""


@dataclass
class History:
    operations: list[Operation] = field(default_factory=list[Operation])


class Caller:
    """One organization's client, of every API process."""

    def __init__(self, organization: str, key: str, urls: list[str], history: History) -> None:
        self.organization = organization
        self._history = history
        headers = {"x-api-key": key}
        limits = httpx2.Limits(max_connections=100)
        self._clients = [
            httpx2.AsyncClient(
                base_url=f"{url}/api/v1",
                headers=headers,
                timeout=15,
                limits=limits,
                trust_env=False,
            )
            for url in urls
        ]

    def client(self, which: int) -> httpx2.AsyncClient:
        return self._clients[which % len(self._clients)]

    async def ask(
        self,
        which: int,
        verb: str,
        path: str,
        subject: str = "",
        *,
        foreign: bool = False,
        **request: Any,
    ) -> tuple[Operation, Mapping[str, Any]]:
        """One request to one API process; what happened to it, and the answer's body."""
        operation = Operation(
            self.organization, f"{verb} {path}", subject, time.monotonic(), foreign=foreign
        )
        self._history.operations.append(operation)
        body: Mapping[str, Any] = {}
        try:
            answer = await self.client(which).request(verb, path, **request)
            operation.status = answer.status_code
            operation.retry_after = "retry-after" in answer.headers
            operation.leak = leak_in(answer.text)
            if answer.headers.get("content-type", "").endswith("json"):
                body = answer.json()
                operation.job = str(body.get("id", ""))
                operation.job_status = str(body.get("status", ""))
        except (httpx2.HTTPError, OSError) as error:
            operation.fault = type(error).__name__
        operation.answered = time.monotonic()
        return operation, body

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


def leak_in(text: str) -> str:
    """What of the answer no client should see; empty if there is nothing."""
    found = _LEAKS.search(text)
    return found.group() if found else ""
