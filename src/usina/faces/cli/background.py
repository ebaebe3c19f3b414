"""A platform of one's own in the background: one per data folder, however many ask at once."""

import fcntl
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from usina.faces.cli.failure import CommandError, ExitCode
from usina.faces.cli.output import say
from usina.faces.cli.platform import Address, read_credentials, running

if TYPE_CHECKING:
    from usina.settings import Settings

IDLE_EXIT_SECONDS: Final = 600
START_SECONDS: Final = 120.0
_LOOK_AGAIN_SECONDS: Final = 0.1
_TAIL_LINES: Final = 10
_ANY_PORTS: Final = (0, 0)


def started(settings: "Settings") -> Address:
    """The platform of the data folder, started by us or by somebody who was quicker."""
    folder = settings.data
    with _alone(folder):
        found = running(folder)
        if found is None:
            say(f"Starting a platform in {folder} (it leaves after 10 idle minutes).")
            ports = (_free(settings, settings.port), _free(settings, settings.grpc_port))
            found = _launched(folder, ports)
    return found


def _launched(folder: Path, ports: tuple[int, int]) -> Address:
    """Our own platform, or that of an `usina up` which was about to be ready; on any free ports
    where it can not start on these, which somebody may have taken since they were looked at."""
    try:
        launch(folder, *ports)
    except CommandError:
        other = _awaited(folder)
        if other is not None:
            return other
        if ports == _ANY_PORTS:
            raise
        return _launched(folder, _ANY_PORTS)
    return own_address(folder)


def _awaited(folder: Path) -> Address | None:
    """The platform of the process that holds the folder, once it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and _is_held(folder):
        found = running(folder)
        if found is not None:
            return found
        time.sleep(_LOOK_AGAIN_SECONDS)
    return None


def _is_held(folder: Path) -> bool:
    """Whether the process that is named in the folder's lock is alive."""
    try:
        os.kill(int((folder / "lock").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def own_address(folder: Path) -> Address:
    """Where a platform that is ready listens."""
    address = read_credentials(folder)
    if address is None:
        raise CommandError(f"The platform left no credentials in {folder}.")
    return address


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Only one at a time may look and start; the lock ends with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free(settings: "Settings", port: int) -> int:
    """The usual port, or 0 (any free one) when somebody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, port))
        except OSError:
            return 0
    return port


def launch(folder: Path, port: int, grpc_port: int) -> "subprocess.Popen[bytes]":
    """A platform of the folder in a session of its own, once it is ready."""
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "usina.faces.cli.main", "up", "--data", str(folder)]
    command += ["--port", str(port), "--grpc-port", str(grpc_port)]
    command += ["--idle-exit", str(IDLE_EXIT_SECONDS)]
    with (logs / "platform.log").open("ab") as log:
        before = log.tell()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"USINA_LOG_FORMAT": "json"},
        )
    assert child.stdout
    with child.stdout:
        if not _says_ready(child.stdout):
            child.kill()
            child.wait()
            raise _failed(folder, before)
    return child


def _says_ready(stdout: IO[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return False
            piece = os.read(stdout.fileno(), 4096)
            if not piece:
                return False
            line += piece
    return line.startswith(b"ready ")


def _failed(folder: Path, before: int) -> CommandError:
    """What this start has written to the log says why it is not there."""
    path = folder / "logs" / "platform.log"
    with path.open("rb") as log:
        log.seek(before)
        tail = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    words = [f"A platform could not be started in {folder}. The end of {path}:", *tail]
    return CommandError("\n  ".join(words), code="unreachable", exit_code=ExitCode.UNAVAILABLE)
