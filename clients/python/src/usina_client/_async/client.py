"""The client."""

import os
from types import TracebackType
from typing import Final, Self

from usina_client._model import (
    Health,
    Readiness,
)
from usina_client._request import Request, get
from usina_client._transport import AsyncBaseTransport, credential

from .artifact import AsyncArtifacts
from .auth import AsyncApiKeys, AsyncAudit, AsyncAuth, AsyncOrganizations
from .bed import AsyncBeds, AsyncSimulations
from .connection import REPEATS, AsyncConnection
from .file import AsyncFiles
from .job import AsyncJobs
from .model import AsyncModels
from .queue import AsyncQueues
from .schedule import AsyncSchedules
from .sweep import AsyncSweeps
from .webhook import AsyncWebhooks
from .worker import AsyncWorkers

DEFAULT_URL: Final = "http://127.0.0.1:8000"


class AsyncClient:
    """One platform, as one caller sees it.

    `url` and `api_key` default to USINA_URL and USINA_API_KEY of the environment, the address
    then to this machine's port 8000. `token` is a person's access token, in place of a key.
    `timeout` is how many seconds the platform may stay silent
    in the middle of a call; how long a job may take is the matter of `jobs.wait`. `retries` is
    how often a call is repeated that met a broken connection, a full platform (429) or one that
    is not there for the moment (502 to 504): after the time that the platform names, and only
    where repeating does no harm.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = REPEATS,
        transport: AsyncBaseTransport | None = None,
    ) -> None:
        connection = AsyncConnection(
            url or os.environ.get("USINA_URL") or DEFAULT_URL,
            credential(os.environ.get("USINA_API_KEY") if api_key is None else api_key, token),
            timeout,
            retries,
            transport,
        )
        self._connection = connection
        self.url = connection.url
        self.models = AsyncModels(connection)
        self.files = AsyncFiles(connection)
        self.jobs = AsyncJobs(connection)
        self.artifacts = AsyncArtifacts(connection)
        self.workers = AsyncWorkers(connection)
        self.queues = AsyncQueues(connection)
        self.schedules = AsyncSchedules(connection)
        self.webhooks = AsyncWebhooks(connection)
        self.beds = AsyncBeds(connection)
        self.simulations = AsyncSimulations(connection)
        self.sweeps = AsyncSweeps(connection)
        self.auth = AsyncAuth(connection)
        self.api_keys = AsyncApiKeys(connection)
        self.organizations = AsyncOrganizations(connection)
        self.audit = AsyncAudit(connection)

    async def health(self) -> Health:
        """Whether the platform is alive, and its version."""
        return await self._connection.fetch(get("/health"), Health)

    async def ready(self) -> Readiness:
        """Whether it can work, each dependency by name; not being ready is not an error here."""
        request = Request(method="GET", path="/ready", repeatable=True, accept=frozenset({503}))
        return await self._connection.fetch(request, Readiness)

    async def aclose(self) -> None:
        """Give the connections back; `async with` does it by itself."""
        await self._connection.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
