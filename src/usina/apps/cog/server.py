"""A server with Cog's HTTP API: questions to it, and its failures in the platform's words."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

from usina_runner import Failure

_ANSWER_SECONDS: Final = 5.0
_GLANCE_SECONDS: Final = 2.0
_SMALL_BYTES: Final = 16 * 1024**2
_WORDS: Final = 300
_WORKING: Final = frozenset({"READY", "BUSY", "STARTING"})


@dataclass(frozen=True, slots=True)
class Health:
    """``began`` tells one start of the server from another."""

    status: str
    began: str | None
    words: str

    @property
    def working(self) -> bool:
        return self.status in _WORKING


class Slow(Exception):
    """It took the question and did not answer in time, as an old one does that is busy."""


class Server:
    """Raises `usina_runner.Failure` wherever the other side is not what it should be."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise Failure(
                "invalid_input", "bad_address", f"{url!r} is no address, as http://host:5000 is."
            )
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._below = parts.path

    def connect(self, seconds: float | None) -> http.client.HTTPConnection:
        """A connection that is open; ``seconds`` bounds each wait on it, null for none."""
        if self._secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host,
                self._port,
                timeout=_ANSWER_SECONDS,
                context=ssl.create_default_context(),
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            raise self.down(error) from None
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.sock.settimeout(seconds)
        return connection

    def request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Iterable[bytes] = (),
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Sends it and waits for the head of the answer; raises `Slow`."""
        try:
            connection.putrequest(method, self._below + path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            for part in body:
                connection.send(part)
            return connection.getresponse()
        except TimeoutError:
            raise Slow from None
        except (OSError, http.client.HTTPException) as error:
            raise self.cut(error) from None

    def ask(self, method: str, path: str, seconds: float = _ANSWER_SECONDS) -> tuple[int, Any]:
        """A small question: the status and the JSON of the answer, null where it is none."""
        connection = self.connect(seconds)
        try:
            with self.request(connection, method, path, (), {"Content-Length": "0"}) as answer:
                return answer.status, _json(answer.read(_SMALL_BYTES))
        except TimeoutError:
            raise Slow from None
        except (OSError, http.client.HTTPException) as error:
            raise self.cut(error) from None
        finally:
            connection.close()

    def health(self, seconds: float = _ANSWER_SECONDS) -> Health:
        """How it does; raises `Slow`."""
        status, told = self.ask("GET", "/health-check", seconds)
        if status != http.client.OK or not isinstance(told, dict) or "status" not in told:
            raise self.stranger()
        table = cast(dict[str, Any], told)
        setup: dict[str, Any] = table.get("setup") or {}
        words = _last_line(str(table.get("user_healthcheck_error") or setup.get("logs") or ""))
        return Health(str(table["status"]), setup.get("started_at"), words)

    def openapi(self) -> Any:
        """Its description of itself."""
        try:
            status, told = self.ask("GET", "/openapi.json")
        except Slow:
            raise self.slow() from None
        if status == http.client.SERVICE_UNAVAILABLE:
            raise Failure(
                "unavailable",
                "model_server_starting",
                f"The Cog server at {self.url} does not describe itself yet: wait for its setup.",
            )
        if status != http.client.OK or not isinstance(told, dict):
            raise self.stranger()
        return cast(dict[str, Any], told)

    def is_new(self) -> bool:
        """Whether it sends files inside of what it tells, as all do that name their version; older
        ones name files of their own disk instead."""
        try:
            _, told = self.ask("GET", "/", _GLANCE_SECONDS)
        except Slow:
            return False
        return isinstance(told, dict) and "cog_version" in told

    def cancel(self, prediction_id: str, seconds: float) -> None:
        """As far as it hears us."""
        try:
            self.ask("POST", f"/predictions/{quote(prediction_id)}/cancel", seconds)
        except (Failure, Slow):
            return

    def down(self, error: OSError) -> Failure:
        why = error.strerror or str(error) or type(error).__name__
        return Failure(
            "unavailable",
            "model_server_down",
            f"No server answers at {self.url} ({why}): start the model's container, or add it anew "
            "with its right address.",
        )

    def cut(self, error: Exception) -> Failure:
        return Failure(
            "unavailable",
            "model_server_lost",
            f"The Cog server at {self.url} went away amid its work ({type(error).__name__}): look "
            "into its own log.",
        )

    def slow(self) -> Failure:
        return Failure(
            "unavailable",
            "model_server_slow",
            f"The Cog server at {self.url} took the connection and did not answer within "
            f"{_ANSWER_SECONDS:g} s.",
        )

    def stranger(self) -> Failure:
        return Failure(
            "unavailable",
            "no_cog_server",
            f"What answers at {self.url} is no Cog server: correct its address.",
        )

    def broken(self, health: Health) -> Failure:
        said = f" It last wrote: {health.words}" if health.words else ""
        return Failure(
            "unavailable",
            "model_server_broken",
            f"The Cog server at {self.url} says {health.status}: look into its log and start it "
            f"anew.{said}",
        )


def refusal(server: Server, status: int, body: bytes) -> Failure:
    """Why it did not take a prediction, by the answer's status and bytes."""
    told = _json(body)
    if status == http.client.UNPROCESSABLE_ENTITY and isinstance(told, dict):
        return Failure("invalid_input", "refused_by_model", _faults(cast(dict[str, Any], told)))
    if status == http.client.REQUEST_ENTITY_TOO_LARGE:
        message = "The inputs are larger than the model's server takes."
        return Failure("invalid_input", "too_large_for_model", message)
    if not isinstance(told, dict) or status < http.client.INTERNAL_SERVER_ERROR:
        return server.stranger()
    table = cast(dict[str, Any], told)
    words = str(table.get("detail") or table.get("error") or "")[:_WORDS]
    message = f"The model's server failed with status {status}. {words}".strip()
    return Failure("runner_failed", "prediction_failed", message)


def _faults(told: dict[str, Any]) -> str:
    """``loc`` begins with ``body``, ``input``."""
    faults = told.get("detail")
    if not isinstance(faults, list):
        return f"The model refuses this: {str(faults)[:_WORDS]}"
    named = [
        (".".join(str(part) for part in fault.get("loc", ())[2:]) or "input", fault.get("msg"))
        for fault in cast(list[dict[str, Any]], faults)
    ]
    return "The model refuses " + "; ".join(f"{place}: {why}" for place, why in named)[:1000]


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_WORDS] if lines else ""
