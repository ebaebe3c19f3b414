"""The data folder of an embedded platform: its lock and its credentials.

The lock is the session of the embedded platform: who holds it knows that no earlier process is
alive, and takes over what that one left running.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


class FolderInUse(Exception):
    """Another platform holds the data folder; ``pid`` is its process, if it is known."""

    def __init__(self, folder: Path, pid: str) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"The data folder {folder} is in use by {holder}. Stop it, or give another --data."
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """What ``credentials.json`` holds; a face that is not served yet has a null address."""

    url: str | None
    grpc_url: str | None
    api_key: str
    email: str
    password: str | None
    organization_id: str


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Holds the folder for this process; raises :class:`FolderInUse`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(folder, os.pread(descriptor, 32, 0).decode().strip()) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def read_credentials(folder: Path) -> Credentials | None:
    """The credentials, or null where the file is missing or not ours to understand."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Credentials(**json.loads((folder / "credentials.json").read_text()))
    return None


def write_credentials(folder: Path, credentials: Credentials) -> None:
    """Replaces the file in one step; nobody but its owner may read it."""
    target = folder / "credentials.json"
    fresh = folder / f".credentials-{os.getpid()}.json"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
