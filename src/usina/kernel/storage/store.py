"""The port of the store: objects by key, each whole or not there, never changed.

Keys are made by the platform (``artifacts/<organization>/<job>/<id>``), never out of a caller's
words. An object becomes visible in one step, and once that step has returned it survives a power
cut. Methods that are not ``async`` block: call them through :meth:`Store.run`, several at a time.
"""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

Data = bytes | bytearray | memoryview

STEP_BYTES: Final = 2 * 1024**2
"""How much is read at once: more is no faster, and each slow reader holds one or two in memory."""

_KEY: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class ObjectMissing(Exception):
    """There is no object under this key."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Presigned:
    """A request that whoever knows it may make until its end; ``headers`` must be sent with it."""

    method: str
    url: str
    headers: Mapping[str, str]


class Writer(Protocol):
    """An object on its way. Nothing of it can be seen before :meth:`commit` has returned."""

    def write(self, data: Data) -> None: ...

    def commit(self) -> None:
        """Makes the object visible and durable."""
        ...

    def abort(self) -> None:
        """Leaves nothing behind; may be called at any time before the commit."""
        ...


class Store(Protocol):
    """Raises ``StorageFull`` where the disk or a quota is full, ``Unavailable`` where a server does
    not answer in time (``storage_unavailable``) or does not let us in (``storage_refused``).

    ``opened_at`` is the moment from which this process may have written, by the clock that also
    gives the objects their times.
    """

    opened_at: datetime

    def now(self) -> datetime:
        """The time by the clock that also gives the objects theirs."""
        ...

    def check(self) -> None:
        """Asks the store itself whether it is there for us; raises ``Unavailable`` with why not.

        Cheap, and decided within two seconds.
        """
        ...

    async def run(self, work: Callable[[], T]) -> T:
        """Runs blocking work on the store's own threads."""
        ...

    def read(self, key: str, start: int, stop: int) -> AsyncGenerator[memoryview]:
        """The bytes from ``start`` to before ``stop`` in steps; raises ``ObjectMissing``."""
        ...

    def chunks(self, key: str, start: int, stop: int) -> Iterator[memoryview]:
        """The same, blocking."""
        ...

    def writer(self, key: str) -> Writer:
        """A new object; one that stands under the key is replaced by the commit."""
        ...

    def put(self, key: str, data: Data) -> None:
        """A small object at once."""
        ...

    def copy(self, source: str, target: str) -> None:
        """A second object of the same bytes, made by the store; raises ``ObjectMissing``."""
        ...

    async def fetch(self, key: str, target: Path, sha256: str) -> None:
        """Copies an object into a new file of this machine, its hash checked on the way.

        Raises ``Unavailable`` (``content_lost``, ``content_damaged``) when it is not what it was.
        """
        ...

    def size(self, key: str) -> int | None:
        """The size in bytes, null when there is no such object."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Removes the objects; a key without one is no error."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix``, a folder of keys such as ``files/``."""
        ...

    def clear_unfinished(self, before: datetime) -> int:
        """Removes what aborted writers left before that moment; how many there were."""
        ...

    def presigned_get(
        self, key: str, seconds: int, content_type: str, disposition: str
    ) -> Presigned | None:
        """How to read the object without the platform, with these headers in the answer.

        Null where the store has no server of its own: then the platform serves the bytes.
        """
        ...

    def presigned_put(self, key: str, seconds: int, size_bytes: int | None) -> Presigned | None:
        """How to write an object of just this size without the platform, or null likewise.

        Null also where one request can not bring as much. Without a size any will do.
        """
        ...

    def close(self) -> None: ...


def checked(key: str) -> str:
    """The key, if it is one that the platform may make."""
    if _KEY.fullmatch(key) is None or ".." in key:
        raise ValueError(f"not a key of the store: {key!r}")
    return key
