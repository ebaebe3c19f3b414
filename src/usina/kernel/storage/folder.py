"""The store as a folder of this machine, over obstore's LocalStore.

What obstore does not do is added here: objects are synced to the disk with the folders that hold
them, symbolic links are not followed, and a full disk has its own error. obstore writes into
``<key>#<number>`` and renames, so what a killed process leaves behind is found by that name.
"""

import asyncio
import os
import re
import stat
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import obstore
from obstore.store import LocalStore

from usina.kernel.errors import Unavailable
from usina.kernel.storage.durable import OpenFolder, drop_empty
from usina.kernel.storage.fetch import copy_out
from usina.kernel.storage.full import refusing_when_full
from usina.kernel.storage.store import STEP_BYTES, Data, ObjectMissing, StoredObject, checked

T = TypeVar("T")

_THREADS: Final = 8
_PART_BYTES: Final = 2 * 1024**2
_UNFINISHED: Final = re.compile(r".+#\d+")


class FolderStore:
    """Objects below one folder, which only this platform may write to."""

    def __init__(self, root: Path) -> None:
        self.opened_at = datetime.now(UTC)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = root.resolve(strict=True)
        self._objects = LocalStore(self._root)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="usina-store")

    def now(self) -> datetime:
        return datetime.now(UTC)

    def check(self) -> None:
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise Unavailable(
                "The folder of the store is gone or may not be written to.", code="storage_refused"
            )

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def read(self, key: str, start: int, stop: int) -> AsyncGenerator[memoryview]:
        self._existing(key)
        for at in range(start, stop, STEP_BYTES):
            with _missing(key):
                step = await obstore.get_range_async(
                    self._objects, key, start=at, end=min(at + STEP_BYTES, stop)
                )
            yield memoryview(step)

    def chunks(self, key: str, start: int, stop: int) -> Iterator[memoryview]:
        self._existing(key)
        for at in range(start, stop, STEP_BYTES):
            with _missing(key):
                step = obstore.get_range(
                    self._objects, key, start=at, end=min(at + STEP_BYTES, stop)
                )
            yield memoryview(step)

    def copy(self, source: str, target: str) -> None:
        self._existing(source)
        path = self._path(target)
        with refusing_when_full(), closing(OpenFolder(self._root, path.parent)) as folder:
            with _missing(source):
                os.utime(self._path(source))  # a copy is a second name and has its time
                obstore.copy(self._objects, source, target)
            folder.sync(path)

    async def fetch(self, key: str, target: Path, sha256: str) -> None:
        await self.run(lambda: copy_out(self, key, target, sha256))

    def writer(self, key: str) -> "_FolderWriter":
        return _FolderWriter(self._objects, self._root, self._path(key), key)

    def put(self, key: str, data: Data) -> None:
        path = self._path(key)
        with refusing_when_full(), closing(OpenFolder(self._root, path.parent)) as folder:
            obstore.put(self._objects, key, data, use_multipart=False)
            folder.sync(path)

    def size(self, key: str) -> int | None:
        try:
            return self._existing(key).st_size
        except ObjectMissing:
            return None

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(ObjectMissing, FileNotFoundError):
                self._existing(key)
                path = self._path(key)
                path.unlink()
                drop_empty(self._root, path.parent)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        for entry in _files_below(self._root / prefix):
            if _UNFINISHED.fullmatch(entry.name) is None and (status := _status(entry)):
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                key = entry.path[len(str(self._root)) + 1 :]
                yield StoredObject(key, status.st_size, modified)

    def clear_unfinished(self, before: datetime) -> int:
        cleared = 0
        for entry in _files_below(self._root):
            unfinished = _UNFINISHED.fullmatch(entry.name) is not None
            status = _status(entry) if unfinished else None
            if status is not None and status.st_mtime < before.timestamp():
                path = Path(entry.path)
                path.unlink(missing_ok=True)
                drop_empty(self._root, path.parent)
                cleared += 1
        return cleared

    def presigned_get(self, key: str, seconds: int, content_type: str, disposition: str) -> None:
        """Null: a folder has no server of its own."""

    def presigned_put(self, key: str, seconds: int, size_bytes: int | None) -> None:
        """Null likewise."""

    def close(self) -> None:
        self._threads.shutdown()

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    def _existing(self, key: str) -> os.stat_result:
        """The object's status; a link on the way to it counts as nothing there."""
        path = self._root
        status: os.stat_result | None = None
        for part in checked(key).split("/"):
            path /= part
            try:
                status = path.lstat()
            except (FileNotFoundError, NotADirectoryError) as error:
                raise ObjectMissing(key) from error
            if stat.S_ISLNK(status.st_mode):
                raise ObjectMissing(key)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise ObjectMissing(key)
        return status


class _FolderWriter:
    """Writes through obstore's buffered writer, which cleans up when it is dropped unclosed."""

    def __init__(self, objects: LocalStore, root: Path, path: Path, key: str) -> None:
        with refusing_when_full():
            self._folder = OpenFolder(root, path.parent)
        self._root = root
        self._path = path
        self._visible = False
        self._out: obstore.WritableFile | None = obstore.open_writer(
            objects, key, buffer_size=_PART_BYTES, max_concurrency=1
        )

    def write(self, data: Data) -> None:
        assert self._out is not None
        with refusing_when_full():
            self._out.write(data)

    def commit(self) -> None:
        assert self._out is not None
        with refusing_when_full():
            self._out.close()
            self._visible = True
            self._folder.sync(self._path)
        self._folder.close()

    def abort(self) -> None:
        self._out = None
        self._folder.close()
        if self._visible:
            self._path.unlink(missing_ok=True)
        drop_empty(self._root, self._path.parent)


def _files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every regular file below the folder; links are not followed."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """Null for what has gone since the folder was looked into."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextmanager
def _missing(key: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing(key) from error
