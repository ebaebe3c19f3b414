"""A real Redis server on loopback that tests may flush, stop, restart and hold still."""

import atexit
import contextlib
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from redis import Redis

from tests.port import free_port

_READY = b"Ready to accept connections"


class RedisServer:
    """Keeps its port for life, and nothing on the disk: after a stop it begins empty.

    ``url`` is that of its first database, ``address`` of any of its sixteen.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.address(0)

    def address(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when it answers."""
        assert self._process is None
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--appendonly", "no"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        told: list[bytes] = []
        with self._process.stdout as lines:  # what it says later is lost
            for line in lines:
                told.append(line)
                if _READY in line:
                    return
        raise RuntimeError(f"redis-server did not start: {b''.join(told).decode()}")

    def stop(self) -> None:
        """At once, with all that it held; once more does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def held_still(self) -> Generator[None]:
        """It keeps its connections and answers nobody."""
        self.hold_still()
        try:
            yield
        finally:
            assert self._process is not None
            self._process.send_signal(signal.SIGCONT)

    def hold_still(self) -> None:
        """The same until it is stopped or started anew."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def flush(self) -> None:
        with self.client() as redis:
            redis.flushall()

    @contextmanager
    def client(self, database: int = 0) -> Generator[Redis]:
        with contextlib.closing(Redis.from_url(self.address(database))) as redis:
            yield redis


@contextmanager
def running_redis() -> Generator[RedisServer]:
    """A test's own server."""
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@cache
def redis_server() -> RedisServer:
    """The server of this test process, which nobody troubles."""
    server = RedisServer()
    server.start()
    atexit.register(server.stop)
    return server
