"""A distributed platform of real processes: its servers, its parts, and its users."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import asyncpg
import httpx2
from celery import Celery

from tests.distributed.part import Part, celery, until, usina
from tests.postgres import postgres_server
from tests.storage.s3_server import access, fresh_bucket
from tests.torture.platform import descendants_with
from usina.kernel.dispatch.celery import make_celery
from usina.kernel.jobs.queue import QUEUES
from usina.settings import Settings
from usina.upkeep import create_organization

RUNNERS = Path(__file__).parent / "runners"
_TERMINAL = {"job.succeeded", "job.failed", "job.cancelled"}
_KEPT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR")


class Outcome(NamedTuple):
    """How a job ended: its status, every terminal event it had, and how many reports it left."""

    status: str
    ends: tuple[str, ...]
    reports: int


SUCCEEDED_ONCE = Outcome("SUCCEEDED", ("job.succeeded",), 1)


def s3_environment(bucket: str) -> dict[str, str]:
    server = access()
    return {
        "USINA_STORAGE_URL": f"s3://{bucket}/platform",
        "S3_ENDPOINT_URL": server.url,
        "S3_ACCESS_KEY": server.access_key,
        "S3_SECRET_KEY": server.secret_key,
    }


@dataclass
class Site:
    """Where parts run: ``environment`` is all that they know. ``folder`` holds data and logs."""

    folder: Path
    environment: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    _number: Iterable[int] = field(default_factory=lambda: count(1))

    def usina(self, *arguments: str, **environment: str) -> Part:
        """``usina`` with these arguments; its log is named by the first."""
        return self._start(arguments[0], usina(*arguments), environment)

    def celery(self, *arguments: str, **environment: str) -> Part:
        """``celery -A usina.worker`` with these arguments."""
        return self._start("celery", celery(*arguments), environment)

    def api(self, **environment: str) -> Part:
        return self.usina("api", "--port", "0", **environment)

    def worker(self, *options: str, **environment: str) -> Part:
        return self.usina("worker", *options, **environment)

    def beat(self, **environment: str) -> Part:
        return self.usina("beat", **environment)

    def _start(self, name: str, command: list[str], more: Mapping[str, str]) -> Part:
        number = next(iter(self._number))
        part = Part(f"{name}-{number}", command, {**self.environment, **more}, self.folder)
        self.parts.append(part)
        return part

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of ``usina`` that ends by itself."""
        return run(usina(*arguments), {**self.environment, **environment}, self.folder)

    def inspect(self, what: str, name: str) -> Any:
        """What the worker of that name answers over Celery's remote control, once it hears."""
        app = self.strange_celery()
        try:
            asked = getattr(app.control.inspect([name], timeout=3), what)
            return next(answers for _ in range(10) if (answers := asked()))[name]
        finally:
            app.close()

    @property
    def platform_id(self) -> str:
        [[found]] = self.sql("SELECT value FROM meta WHERE key = 'platform_id'")
        return str(found)

    def strange_celery(self) -> Celery:
        """The platform's Celery in the hands of somebody else."""
        return make_celery(self.environment["REDIS_URL"], QUEUES, self.platform_id)

    def user(self, api: Part, name: str = "lab") -> "User":
        """A new organization, and its calls to this API."""
        settings = Settings(database_url=self.environment["DATABASE_URL"], _env_file=None)
        return self.user_with(create_organization(settings, name).api_key, api)

    def organization_of(self, user: "User") -> str:
        known = "SELECT organization_id FROM api_keys WHERE starts_with($1, prefix)"
        [[found]] = self.sql(known, user.key)
        return str(found)

    def sql(self, query: str, *values: object) -> list[Any]:
        """What the database answers to it."""

        async def ask() -> list[Any]:
            connection: Any = await asyncpg.connect(self.environment["DATABASE_URL"])
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def user_with(self, key: str, api: Part) -> "User":
        return User(api.word, key)

    def programs(self) -> list[str]:
        """Processes that runner programs of this site have left or are."""
        known = {str(part.process.pid) for part in self.parts}
        found = descendants_with(str(self.folder / "data"))
        return [line for line in found if line.split()[0] not in known]

    def close(self) -> None:
        """Every process surely gone, programs too."""
        for part in self.parts:
            part.close()
        until(lambda: not self.programs())

    def tell(self) -> None:
        """What the parts said, for whoever looks at a failure."""
        for part in self.parts:
            print(f"--- {part.name}: {part.process.returncode}", *part.told, part.log[-4000:])


@contextmanager
def site(folder: Path, redis_url: str, **environment: str) -> Generator[Site]:
    """A migrated database, an empty bucket, and no process yet."""
    server = postgres_server()
    name = asyncio.run(server.fresh())
    given = {name: os.environ[name] for name in _KEPT if name in os.environ}
    made = Site(
        folder,
        {
            **given,
            **s3_environment(fresh_bucket()),
            "DATABASE_URL": server.url(name),
            "REDIS_URL": redis_url,
            "SECRET_KEY": "the-parts-of-a-test-0123456789abcdef",
            "USINA_DATA": str(folder / "data"),
            "USINA_RUNNERS": str(RUNNERS),
            "USINA_SLOTS": "2",
            "USINA_RETRY_SECONDS": "0.05",
            "USINA_GRACE_SECONDS": "2",
            "USINA_LOG_FORMAT": "json",
            **environment,
        },
    )
    try:
        yield made
    finally:
        made.close()
        made.tell()
        asyncio.run(server.drop(name))


def run(
    command: list[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class User:
    """One organization's calls to one API."""

    url: str
    key: str

    def at(self, api: Part) -> "User":
        """The same, at another API."""
        return User(api.word, self.key)

    def client(self) -> httpx2.Client:
        return httpx2.Client(
            base_url=f"{self.url}/api/v1", headers={"x-api-key": self.key}, timeout=70
        )

    def get(self, path: str) -> Any:
        with self.client() as client:
            return client.get(path).raise_for_status().json()

    def ready(self) -> Any:
        return httpx2.get(f"{self.url}/ready", timeout=30).json()

    def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        with self.client() as client:
            return client.post(path, json=body, headers=headers)

    def submit(self, model: str = "echo-v1", key: str | None = None, **params: Any) -> str:
        """The id of an accepted job."""
        headers = {} if key is None else {"idempotency-key": key}
        while True:
            answer = self.post("/jobs", {"model": model, "params": params}, **headers)
            if answer.status_code != 409 or answer.json()["code"] != "idempotency_in_progress":
                break
            sleep(0.05)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def submit_many(self, number: int, **params: Any) -> list[str]:
        batch = {"jobs": [{"model": "echo-v1", "params": params}] * number}
        answer = self.post("/jobs/batch", batch)
        assert answer.status_code == 202, answer.text
        return [job["id"] for job in answer.json()["items"]]

    def job(self, job_id: str, wait_seconds: float = 0) -> dict[str, Any]:
        return self.get(f"/jobs/{job_id}?wait_seconds={wait_seconds:g}")

    def ended(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        job = self.job(job_id, seconds)
        assert job["finished_at"], job
        return job

    def running(self, job_id: str, seconds: float = 30) -> float:
        """How many seconds it took until the job was running."""
        return until(lambda: self.job(job_id)["status"] == "RUNNING", seconds)

    def in_progress(self, job_id: str, seconds: float = 30) -> None:
        """Waits until the job's program has said that it gets on."""
        until(lambda: "job.progress" in self.types(job_id), seconds)

    def types(self, job_id: str) -> list[str]:
        """The types of its events, which have no gap."""
        events = self.get(f"/jobs/{job_id}/events?limit=200")["items"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        return [event["type"] for event in events]

    def outcome(self, job_id: str) -> Outcome:
        """How the job ended, once it has."""
        job, types = self.ended(job_id), self.types(job_id)
        ends = tuple(kind for kind in types if kind in _TERMINAL)
        names = [artifact["name"] for artifact in job["artifacts"]]
        return Outcome(job["status"], ends, names.count("report.json"))

    def outcomes(self, job_ids: Iterable[str]) -> set[Outcome]:
        return {self.outcome(job_id) for job_id in job_ids}

    def streamed(self, job_id: str) -> list[str]:
        """The types of a job's events as its stream tells them, until it ends."""
        types: list[str] = []
        with (
            self.client() as client,
            client.stream(
                "GET", f"/jobs/{job_id}/events", headers={"accept": "text/event-stream"}
            ) as stream,
        ):
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    types.append(line.removeprefix("event: "))
                    if types[-1] in _TERMINAL:
                        break
        return types


@contextmanager
def meanwhile() -> Generator[ThreadPoolExecutor]:
    """Calls that go on beside the test's own."""
    with contextlib.closing(_Threads(8)) as threads:
        yield threads


class _Threads(ThreadPoolExecutor):
    def close(self) -> None:
        self.shutdown(cancel_futures=True)
