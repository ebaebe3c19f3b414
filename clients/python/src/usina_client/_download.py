"""Bytes that arrive: into a temporary name beside the target, renamed once they are proven."""

import hashlib
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from usina_client._error import ChecksumError
from usina_client._upload import OnProgress


class Sink:
    """What has been received so far; `size` is where a broken transfer goes on."""

    def __init__(self, handle: IO[bytes], total: int, on_progress: OnProgress | None) -> None:
        self._handle = handle
        self._hash = hashlib.sha256()
        self._total = total
        self._on_progress = on_progress
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self._handle.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        if self._on_progress:
            self._on_progress(self.size, self._total)

    def restart(self) -> None:
        """Forget everything: the server began anew."""
        self._handle.seek(0)
        self._handle.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def receiving(
    target: Path, size_bytes: int, sha256: str, on_progress: OnProgress | None
) -> Generator[Sink]:
    """Takes the target's place when size and hash are right; otherwise leaves nothing behind."""
    handle = NamedTemporaryFile(  # noqa: SIM115 (closed below, before it is renamed)
        dir=target.parent, prefix=".usina-", suffix=".part", delete=False
    )
    try:
        with handle:
            sink = Sink(handle, size_bytes, on_progress)
            yield sink
        if (sink.size, sink.sha256) != (size_bytes, sha256):
            raise ChecksumError(
                f"{target.name}: received {sink.size} bytes with SHA-256 {sink.sha256}, "
                f"announced were {size_bytes} bytes with {sha256}."
            )
        Path(handle.name).chmod(0o666 & ~_umask())
        Path(handle.name).replace(target)
    except BaseException:
        Path(handle.name).unlink(missing_ok=True)
        raise


def target_of(to: str | os.PathLike[str] | None, name: str) -> Path:
    """`to` itself; inside it, or inside the current folder, under the safe form of the name."""
    if to is None:
        return Path(safe_name(name))
    path = Path(to)
    return path / safe_name(name) if path.is_dir() else path


def safe_name(name: str) -> str:
    """A file name without folders and control characters, made from a name that is only text."""
    last = re.split(r"[/\\]", name)[-1]
    printable = "".join(character if character.isprintable() else "_" for character in last)
    kept = printable.lstrip(".").strip()[:200]
    return kept or "artifact"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
