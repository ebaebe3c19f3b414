"""The platform in memory, as a test sets it up."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from usina_client._async.client import AsyncClient
from usina_client._sync.client import Client
from usina_client.testing._job import Document, FakeJob
from usina_client.testing._request import Answer, Refusal, Seen
from usina_client.testing._room import Model, Rooms, Work
from usina_client.testing._transport import Transport

URL: Final = "http://usina.in-memory"


@dataclass(slots=True)
class _Fault:
    route: str
    times: int
    answer: Answer | None


@dataclass(slots=True)
class FakePlatform:
    """Everything that one organization sees of a platform; see the package for how to use it."""

    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Method and path of each request that arrived, in order."""
    _rooms: Rooms = field(default_factory=Rooms)
    _answers: dict[str, tuple[bytes, Answer]] = field(
        default_factory=dict[str, tuple[bytes, Answer]]
    )
    _faults: list[_Fault] = field(default_factory=list[_Fault])

    @property
    def files(self) -> list[str]:
        """The names of the files that are kept."""
        return [str(file.document["name"]) for file in self._rooms.files.values()]

    def client(self) -> Client:
        return Client(URL, "key", transport=Transport(self._answer))

    def async_client(self) -> AsyncClient:
        return AsyncClient(URL, "key", transport=Transport(self._answer))

    def model(
        self,
        name: str,
        *,
        inputs: Sequence[str] = (),
        params: Mapping[str, JsonValue] | None = None,
        version: str = "1.0.0",
    ) -> Callable[[Work], Work]:
        """A decorator: the function is what jobs of this model do. `params` are the defaults; a
        parameter that is not among them is refused, and so is an input that is missing."""

        def add(work: Work) -> Work:
            defaults = dict(params or {})
            document: Document = {
                "name": name,
                "version": version,
                "task": "test",
                "description": (work.__doc__ or name).strip(),
                "license": "MIT",
                "input_schema": {"type": "object", "required": list(inputs)},
                "params_schema": {"type": "object", "properties": {key: {} for key in defaults}},
                "default_params": defaults,
                "resources": {"gpu": 0, "memory_bytes": 0, "slots": 1},
                "timeout_seconds": 3600,
                "available": True,
                "unavailable_reason": None,
                "waits_because": None,
            }
            self._rooms.models[name] = Model(document, inputs, defaults, work)
            return work

        return add

    @contextmanager
    def hold(self) -> Generator[None]:
        """Jobs submitted inside stay QUEUED, and run when it ends unless they were cancelled."""
        held: list[FakeJob] = []
        self._rooms.held = held
        yield
        self._rooms.held = None
        for job in held:
            if not job.ended:
                self._rooms.run(job)

    def refuse(
        self,
        route: str,
        status: int,
        code: str,
        *,
        times: int = 1,
        retry_after_seconds: float | None = None,
    ) -> None:
        """The next requests of a route such as `"POST /api/v1/jobs"` are refused."""
        wait = {} if retry_after_seconds is None else {"retry-after": str(retry_after_seconds)}
        answer = Refusal(status, code, "Refused, as the test wants it.", **wait).answer
        self._faults.append(_Fault(route, times, answer))

    def cut(self, route: str, *, times: int = 1) -> None:
        """The connection of the next requests of a route breaks before anything is done."""
        self._faults.append(_Fault(route, times, None))

    def _answer(self, seen: Seen) -> Answer | None:
        self.requests.append((seen.method, seen.path))
        route = f"{seen.method} {seen.path}"
        for fault in self._faults:
            if fault.route == route and fault.times > 0:
                fault.times -= 1
                return fault.answer
        try:
            return self._once(seen, route)
        except Refusal as refusal:
            return refusal.answer

    def _once(self, seen: Seen, route: str) -> Answer:
        """What an idempotency key was answered before is answered again."""
        key = seen.headers.get("idempotency-key")
        if key is None:
            return self._rooms.answer(seen)
        body = seen.body if not seen.is_form else repr(seen.parts()).encode()
        known = self._answers.get(f"{route} {key}")
        if known is not None and known[0] != body:
            detail = "The key was used with another body."
            raise Refusal(409, "idempotency_key_reused", detail)
        answer = known[1] if known else self._rooms.answer(seen)
        self._answers[f"{route} {key}"] = body, answer
        return answer
