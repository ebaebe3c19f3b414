"""PgBouncer in transaction mode, as Debian packages it, in front of the tests' server."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import PostgresServer

_PORT = 6432
_SETTINGS = """
[databases]
* = host={server} user=postgres

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
server_login_retry = 1
logfile = {folder}/log
"""


class _Died(AssertionError):
    """With its last words."""


class Pooler:
    """A pooler that has ``connections`` to the server, for each database."""

    def __init__(self, server: PostgresServer, folder: Path, connections: int) -> None:
        self._folder = folder
        self._settings = folder / "pgbouncer.ini"
        self._settings.write_text(
            _SETTINGS.format(
                server=server.folder, folder=folder, port=_PORT, connections=connections
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}&port={_PORT}"

    def start(self) -> None:
        """It has been seen to die at its start without a word; then it is started once more."""
        try:
            self._start()
        except _Died:
            self._start()

    def _start(self) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "the tests use PgBouncer: apt-get install pgbouncer"
        root = os.geteuid() == 0
        if root:
            shutil.chown(self._folder, "pgserver")
        with (self._folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [program, "-q", self._settings],
                user="pgserver" if root else None,  # it refuses to be root, as the server does
                stderr=said,
            )
        while not self._listens():
            if self._process.poll() is not None:
                raise _Died(self._last_words())
            time.sleep(0.01)

    def _last_words(self) -> str:
        assert self._process is not None
        told = [path.read_text() for path in sorted(self._folder.iterdir()) if path.is_file()]
        return f"PgBouncer ended with {self._process.returncode}: {told}"

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._folder / f".s.PGSQL.{_PORT}")) == 0

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def pooled(server: PostgresServer, connections: int = 3) -> Iterator[Pooler]:
    """A pooler that works until the context ends."""
    with tempfile.TemporaryDirectory(prefix="usina-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        pooler = Pooler(server, Path(folder), connections)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.kill()
