# Generated from ../_async/client.py by generate_sync.py: change that file instead.
"""The client."""

import os
from types import TracebackType
from typing import Final, Self

from usina_client._model import (
    Health,
    Readiness,
)
from usina_client._request import Request, get
from usina_client._transport import BaseTransport, credential

from .artifact import Artifacts
from .auth import ApiKeys, Audit, Auth, Organizations
from .bed import Beds, Simulations
from .connection import REPEATS, Connection
from .file import Files
from .job import Jobs
from .model import Models
from .queue import Queues
from .schedule import Schedules
from .sweep import Sweeps
from .webhook import Webhooks
from .worker import Workers

DEFAULT_URL: Final = "http://127.0.0.1:8000"


class Client:
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
        transport: BaseTransport | None = None,
    ) -> None:
        connection = Connection(
            url or os.environ.get("USINA_URL") or DEFAULT_URL,
            credential(os.environ.get("USINA_API_KEY") if api_key is None else api_key, token),
            timeout,
            retries,
            transport,
        )
        self._connection = connection
        self.url = connection.url
        self.models = Models(connection)
        self.files = Files(connection)
        self.jobs = Jobs(connection)
        self.artifacts = Artifacts(connection)
        self.workers = Workers(connection)
        self.queues = Queues(connection)
        self.schedules = Schedules(connection)
        self.webhooks = Webhooks(connection)
        self.beds = Beds(connection)
        self.simulations = Simulations(connection)
        self.sweeps = Sweeps(connection)
        self.auth = Auth(connection)
        self.api_keys = ApiKeys(connection)
        self.organizations = Organizations(connection)
        self.audit = Audit(connection)

    def health(self) -> Health:
        """Whether the platform is alive, and its version."""
        return self._connection.fetch(get("/health"), Health)

    def ready(self) -> Readiness:
        """Whether it can work, each dependency by name; not being ready is not an error here."""
        request = Request(method="GET", path="/ready", repeatable=True, accept=frozenset({503}))
        return self._connection.fetch(request, Readiness)

    def close(self) -> None:
        """Give the connections back; `with` does it by itself."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
