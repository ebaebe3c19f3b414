"""Every process of a distributed platform, each in its own group and started again when it dies."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg

from tests.port import free_port
from tests.postgres import PostgresServer
from tests.storage.proxy import Proxy, proxy_before
from tests.storage.s3_server import make_bucket
from tests.torture.rig.birth import Bear, by_command, by_nursery
from tests.torture.rig.history import CANARY
from tests.torture.rig.line import Line
from tests.torture.rig.member import Death, Member
from tests.torture.rig.plan import HEARTBEAT_SECONDS, LEASE_SECONDS, Plan
from usina.kernel.db import meta
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.storage.s3_address import S3Access
from usina.kernel.tenancy.service import CreatedOrganization, Tenancy

RUNNERS: Final = Path(__file__).parents[1] / "runners"
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_FULL_BYTES: Final = 6 * 1024**2


@dataclass
class Cluster:
    """``died`` hears of every death, ``arm`` gives a process the failpoints of its next life."""

    plan: Plan
    died: Callable[[Death], None]
    arm: Callable[[Member], str]
    members: list[Member] = field(default_factory=list[Member])
    organizations: list[CreatedOrganization] = field(default_factory=list[CreatedOrganization])
    proxy: Proxy | None = None
    lines: dict[str, Line] = field(default_factory=dict[str, Line])
    """By the name of what is at their end: to the database, to Redis."""
    small_disk: Path | None = None
    storage_url: str = ""
    access: S3Access | None = None
    _parts: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    def __post_init__(self) -> None:
        self.folder = self.plan.folder
        self.logs = self.folder / "logs"
        self.witness = self.folder / "witness"
        self.clock = self.folder / "clock"
        for folder in (self.logs, self.witness):
            folder.mkdir(parents=True)
        self.clock.write_text("+0\n")

    def of(self, role: str) -> list[Member]:
        return [member for member in self.members if member.role == role]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._api_ports]

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self._redis_port}/0"

    async def start(self) -> None:
        """Returns when all of it is at work."""
        await asyncio.gather(
            self._start_postgres(), asyncio.to_thread(self._start_store), self._start_nursery()
        )
        self._start_redis()
        await self._start_lines()
        self._api_ports = [free_port(), free_port()]
        for number, port in enumerate(self._api_ports, 1):
            self._usina(f"api-{number}", "api", "--port", str(port))
        self._prepare_small_disk()
        for number in range(1, self.plan.workers + 1):
            slots = str(1 + number % 2)
            self._usina(f"worker-{number}", "worker", "--slots", slots)
        for number in (1, 2):
            self._usina(f"beat-{number}", "beat")
        await self.all_up()

    async def all_up(self, seconds: float = 90.0) -> None:
        await asyncio.gather(*(member.up(seconds) for member in self.members))

    async def stop_product(self) -> None:
        """By TERM, workers first."""
        for role in ("worker", "beat", "api"):
            await asyncio.gather(*(member.leave() for member in self.of(role)))
        await self.end_nursery()

    async def stop(self) -> None:
        """Everything, whatever state it is in."""
        await asyncio.gather(*(member.leave() for member in self.members))
        await self.end_nursery()
        await self._parts.aclose()

    async def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Asks the database past the platform; waits while it restarts."""
        deadline = time.monotonic() + 30
        while True:
            try:
                connection: Any = await asyncpg.connect(self.database_url, timeout=10)
                try:
                    return [dict(row) for row in await connection.fetch(sql, *values)]
                finally:
                    await connection.close()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def redis(self, *words: str) -> str:
        """What ``redis-cli`` says; empty while Redis is away."""
        process = await asyncio.create_subprocess_exec(
            *("redis-cli", "-p", str(self._redis_port), *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(5):
                return (await process.communicate())[0].decode(errors="replace")
        except TimeoutError:
            process.kill()
            return ""

    async def restart_postgres(self) -> None:
        await asyncio.to_thread(self.postgres.restart)

    async def _start_postgres(self) -> None:
        memory = Path("/dev/shm")
        where = memory if os.access(memory, os.W_OK) else None
        place = Path(tempfile.mkdtemp(prefix="usina-rig-", dir=where))
        self.postgres = await asyncio.to_thread(PostgresServer, place)
        self._parts.callback(self.postgres.end)
        self._socket = f"{place}/.s.PGSQL.5432"
        self.database = await self.postgres.fresh()
        self.database_url = self.postgres.url(self.database)
        database = PostgresDatabase(self.database_url)
        await database.write(meta.prepare)
        tenancy = Tenancy(database)
        for number in range(1, self.plan.organizations + 1):
            self.organizations.append(await tenancy.create_organization(f"organization {number}"))
        await database.close()

    def _start_store(self) -> None:
        if self.plan.store == "folder":
            self.storage_url = (self.folder / "store").as_uri()
            return
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.moto_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._parts.callback(server.communicate)
        assert server.stdout is not None
        direct = f"http://127.0.0.1:{int(server.stdout.readline())}"
        self.access = S3Access("key", f"{CANARY}-s3", endpoint=direct)
        bucket = f"usina-{uuid4()}"
        make_bucket(self.access, bucket)
        self.proxy = self._parts.enter_context(proxy_before(direct))
        self.storage_url = f"s3://{bucket}"

    def _start_redis(self) -> None:
        self._redis_port = free_port()
        port = str(self._redis_port)
        command = ("redis-server", "--port", port, "--save", "", "--appendonly", "no")
        self._member("redis-1", command, "Ready to accept connections", by_command)

    async def _start_nursery(self) -> None:
        address = self.folder / "nursery"
        nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.torture.rig.nursery", str(address)),
            env={**os.environ, "USINA_WITNESS": str(self.witness)},
            start_new_session=True,
        )
        self._nursery = nursery
        self._bear = by_nursery(address)
        async with asyncio.timeout(60):
            while not address.exists():
                await asyncio.sleep(0.05)

    async def end_nursery(self) -> None:
        """Nobody is born any more."""
        with contextlib.suppress(ProcessLookupError):
            self._nursery.kill()
        await self._nursery.wait()

    async def _start_lines(self) -> None:
        """One worker and one API reach the database and Redis over lines that can be cut."""
        self.lines["database"] = Line(lambda: asyncio.open_unix_connection(self._socket))
        self.lines["redis"] = Line(lambda: asyncio.open_connection("127.0.0.1", self._redis_port))
        for line in self.lines.values():
            await line.start()
            self._parts.push_async_callback(line.stop)

    def _prepare_small_disk(self) -> None:
        """A small file system for one worker, where mounting is allowed."""
        place = self.folder / "data/worker-1"
        place.mkdir(parents=True)
        mount = ("mount", "-t", "tmpfs", "-o", f"size={_FULL_BYTES}", "tmpfs", str(place))
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            self.small_disk = place
            self._parts.callback(subprocess.run, ("umount", "-l", str(place)), check=False)

    def _usina(self, name: str, *words: str) -> None:
        command, bear = words, self._bear
        role = words[0]
        own: dict[str, str] = {"USINA_GRPC_PORT": "0"}
        if name in {"worker-2", "api-2"}:
            own["DATABASE_URL"] = (
                f"postgresql://postgres@127.0.0.1:{self.lines['database'].port}/{self.database}"
            )
            own["REDIS_URL"] = f"redis://127.0.0.1:{self.lines['redis'].port}/0"
        if name == "worker-3" and FAKETIME.exists():
            command = (sys.executable, "-m", "usina.faces.cli.main", *words)
            bear = by_command
            own |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "PYTHONPATH": str(Path(__file__).parent / "jumping"),
            }
        if role == "worker":  # two share a machine's folder, one has a small disk for itself
            machine = "worker-1" if name == "worker-1" else "shared"
            own["USINA_DATA"] = str(self.folder / "data" / machine)
        self._member(name, command, "ready", bear, own, self.arm)

    def _member(
        self,
        name: str,
        command: Sequence[str],
        ready: str,
        bear: Bear,
        own: dict[str, str] | None = None,
        arm: Callable[[Member], str] = lambda _: "",
    ) -> None:
        environment = self._environment() | (own or {})
        member = Member(name, command, environment, self.logs, ready, self.died, bear, arm)
        member.deaf = "LD_PRELOAD" in environment
        self.members.append(member)
        member.start()

    def _environment(self) -> dict[str, str]:
        settings = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "USINA_STORAGE_URL": self.storage_url,
            "SECRET_KEY": f"{CANARY}-{'0' * 32}",
            "USINA_DATA": str(self.folder / "data/other"),
            "USINA_RUNNERS": str(RUNNERS),
            "USINA_WITNESS": str(self.witness),
            "USINA_SANDBOX": "off",  # its layers would hide the witness's folder
            "USINA_LEASE_SECONDS": str(LEASE_SECONDS),
            "USINA_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "USINA_RETRY_SECONDS": "0.2",
            "USINA_GRACE_SECONDS": "0.5",  # so that some are handed back
            "USINA_LOG_FORMAT": "json",
        }
        if self.access is not None and self.proxy is not None:
            settings |= {
                "S3_ENDPOINT_URL": self.proxy.url,
                "S3_ACCESS_KEY": self.access.access_key,
                "S3_SECRET_KEY": self.access.secret_key,
            }
        return {**os.environ, **settings}
