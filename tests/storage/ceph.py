"""Ceph's object gateway for tests: one monitor, one store in memory, one gateway.

    python -m tests.storage.ceph COMMAND ...

starts it, runs the command with ``USINA_TEST_S3`` naming it, and ends it. Needs the programs of
Debian's packages ``ceph-mon``, ``ceph-osd`` and ``radosgw``, and no rights: everything lies in one
temporary folder. Unlike moto it really checks signatures, their ends and what they bind.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx2

from tests.port import free_port
from tests.storage.s3_server import make_bucket
from usina.kernel.storage.s3 import S3Store
from usina.kernel.storage.s3_address import S3Access, S3Place
from usina.kernel.storage.s3_calls import Patience
from usina.kernel.storage.s3_writer import PART_BYTES

_PROGRAMS: Final = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin")
_STARTS_WITHIN_SECONDS: Final = 90
_MEMORY_BYTES: Final = 6 * 1024**3


class Ceph:
    """A cluster of one in a folder; ``start`` brings it up, and the stack takes it down."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._conf = folder / "ceph.conf"
        self.port = free_port()
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)

    @property
    def named(self) -> str:
        """As ``USINA_TEST_S3`` wants it."""
        return f"{self.access_key} {self.secret_key} http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._start_monitor()
        self._start_store()
        self._start_gateway()

    def _start_monitor(self) -> None:
        folder, fsid, monitor = self._folder, str(uuid4()), f"127.0.0.1:{free_port()}"
        self._conf.write_text(_settings(folder, fsid, monitor, self.port))
        admin = ("-n", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *")
        self._run("ceph-authtool", "-C", f"{folder}/client.admin.keyring", "--gen-key", *admin)
        mon = ("-n", "mon.", "--cap", "mon", "allow *")
        self._run("ceph-authtool", "-C", f"{folder}/mon.keyring", "--gen-key", *mon)
        merged = ("--import-keyring", f"{folder}/client.admin.keyring")
        self._run("ceph-authtool", f"{folder}/mon.keyring", *merged)
        made = ("--fsid", fsid, "--addv", "a", f"[v2:{monitor}]", f"{folder}/monmap")
        self._run("monmaptool", "--create", "--enable-all-features", *made)
        first = ("--monmap", f"{folder}/monmap", "--keyring", f"{folder}/mon.keyring")
        self._run("ceph-mon", "--mkfs", "-i", "a", *first)
        self._spawn("ceph-mon", "-i", "a")

    def _start_store(self) -> None:
        osd = str(uuid4())
        self._ceph("osd", "new", osd)
        (self._folder / "osd").mkdir()
        caps = ("mon", "allow profile osd", "osd", "allow *")
        keyring = ("-o", f"{self._folder}/osd.0.keyring")
        self._ceph("auth", "get-or-create", "osd.0", *caps, *keyring)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0")

    def _start_gateway(self) -> None:
        caps = ("mon", "allow rwx", "osd", "allow rwx")
        keyring = ("-o", f"{self._folder}/client.rgw.keyring")
        self._ceph("auth", "get-or-create", "client.rgw", *caps, *keyring)
        keys = ("--access-key", self.access_key, "--secret-key", self.secret_key)
        user = ("--uid", "usina", "--display-name", "usina", "--max-buckets", "0")
        self._run("radosgw-admin", "user", "create", *user, *keys)
        gateway = self._spawn("radosgw", "-n", "client.rgw")
        until = time.monotonic() + _STARTS_WITHIN_SECONDS
        while time.monotonic() < until and gateway.poll() is None:
            try:
                httpx2.get(f"http://127.0.0.1:{self.port}/", timeout=5)
            except httpx2.TransportError:
                time.sleep(0.1)
            else:
                return self._warm()
        raise RuntimeError(f"radosgw does not answer: {self._tail('radosgw')}")

    def _warm(self) -> None:
        """Its pools are made at their first use, which takes seconds that no test should wait."""
        access = S3Access(
            self.access_key, self.secret_key, endpoint=f"http://127.0.0.1:{self.port}"
        )
        make_bucket(access, "first")
        patience = Patience(answer_seconds=_STARTS_WITHIN_SECONDS)
        with closing(S3Store(S3Place.of("s3://first"), access, patience)) as store:
            writer = store.writer("large")
            writer.write(bytes(PART_BYTES + 1))
            writer.commit()
            store.delete(["large"])

    def _ceph(self, *words: str) -> None:
        self._run("ceph", "--connect-timeout", str(_STARTS_WITHIN_SECONDS), *words)

    def _run(self, program: str, *words: str) -> None:
        command = [program, *words]
        if program not in {"monmaptool", "ceph-authtool"}:
            command[1:1] = ["-c", str(self._conf)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_STARTS_WITHIN_SECONDS * 2
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def _spawn(self, program: str, *words: str) -> "subprocess.Popen[bytes]":
        output = self._stack.enter_context((self._folder / f"{program}.out").open("wb"))
        command = [program, "-c", str(self._conf), "-f", *words]
        started = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self._stack.callback(_end, started)
        return started

    def _tail(self, program: str) -> str:
        return (self._folder / f"{program}.out").read_text(errors="replace")[-2000:]


def _settings(folder: Path, fsid: str, monitor: str, port: int) -> str:
    return f"""
[global]
fsid = {fsid}
mon host = [v2:{monitor}]
mon initial members = a
public addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/$name.keyring
run dir = {folder}
pid file =
admin socket =
log file =
log to stderr = true
err to stderr = true
mon cluster log file = {folder}/cluster.log
mon data = {folder}/mon
mon allow pool size one = true
mon warn on pool no redundancy = false
osd data = {folder}/osd
osd objectstore = memstore
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
memstore device bytes = {_MEMORY_BYTES}

[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw enable usage log = false
rgw gc obj min wait = 2
rgw gc processor period = 2
rgw gc processor max time = 2
"""


@contextmanager
def ceph() -> Generator[Ceph]:
    """A running gateway, which ends with the context."""
    lacking = [program for program in _PROGRAMS if shutil.which(program) is None]
    if lacking:
        raise RuntimeError(f"apt-get install ceph-mon ceph-osd radosgw: no {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="usina-ceph-") as folder, ExitStack() as stack:
        cluster = Ceph(Path(folder), stack)
        cluster.start()
        yield cluster


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(command: Sequence[str]) -> int:
    begun = time.monotonic()
    with ceph() as cluster:
        sys.stderr.write(f"radosgw is up after {time.monotonic() - begun:.0f} s\n")
        environment = {**os.environ, "USINA_TEST_S3": cluster.named}
        return subprocess.run(command, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
