"""Local bytes on their way to the platform: read piece by piece, counted, sent again if need be."""

import io
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

CHUNK_BYTES: Final = 256 * 1024

LARGE_BYTES: Final = 100 * 1024 * 1024
"""From this size on a file goes by an upload of its own, which can be gone on with."""

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
"""A path, bytes, or a binary stream (sent from where it stands)."""

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes sent or received so far and the total, null when it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Local content under the name (and, as a hint, the media type) that it shall have."""

    content: Source
    name: str
    media_type: str | None = None

    @classmethod
    def of(
        cls, content: Source, name: str | None = None, media_type: str | None = None
    ) -> "Upload":
        """The name is the path's, or the stream's, unless given."""
        return cls(content=content, name=name or _name_of(content), media_type=media_type)

    @property
    def repeatable(self) -> bool:
        """Whether the same bytes can be read a second time."""
        return isinstance(self.content, str | os.PathLike | bytes) or self.content.seekable()

    @property
    def large(self) -> bool:
        """Whether it is large and can be read again from any place."""
        if not self.repeatable:
            return False
        with opened([Part("", self)]) as [reader]:
            return (reader.length() or 0) >= LARGE_BYTES


@dataclass(frozen=True, slots=True)
class Part:
    """An upload as one part of a multipart body."""

    field: str
    upload: Upload


class Reader(io.RawIOBase):
    """A source as the HTTP library reads it: seekable where the source is, never by descriptor.

    (A pipe's descriptor has a size of 0, which would be taken for its length.)
    """

    def __init__(self, source: BinaryIO, meter: "_Meter") -> None:
        super().__init__()
        self._source = source
        self._seekable = source.seekable()
        self._start = source.tell() if self._seekable else 0
        self._meter = meter

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        self._require_seekable()
        return self._source.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._require_seekable()
        start = self._start if whence == os.SEEK_SET else 0
        return self._source.seek(start + offset, whence) - self._start

    def read(self, size: int = -1, /) -> bytes:
        """At least as much as asked for, so that large files go in large pieces."""
        chunk = self._source.read(max(size, CHUNK_BYTES))
        self._meter.add(len(chunk))
        return chunk

    def length(self) -> int | None:
        """Bytes from where the source stood to its end."""
        if not self._seekable:
            return None
        end = self.seek(0, os.SEEK_END)
        self.seek(0)
        return end

    def _require_seekable(self) -> None:
        if not self._seekable:
            raise io.UnsupportedOperation("this stream can be read only once")


class Rest:
    """What a reader has not given yet, as the body of a blocking request."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._reader.read(CHUNK_BYTES):
            yield chunk


class AsyncRest:
    """The same as the body of an asynchronous one."""

    def __init__(self, reader: Reader) -> None:
        self._chunks = Rest(reader)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class _Meter:
    """Counts what all readers of one request have sent."""

    def __init__(self, on_progress: OnProgress | None, sent: int) -> None:
        self._on_progress = on_progress
        self._sent = sent
        self.total: int | None = None

    def add(self, count: int) -> None:
        self._sent += count
        if count and self._on_progress:
            self._on_progress(self._sent, self.total)


@contextmanager
def opened(
    parts: Sequence[Part], on_progress: OnProgress | None = None, sent: int = 0
) -> Generator[list[Reader]]:
    """A reader per part, at its start; files opened here are closed here. ``sent`` bytes count as
    sent already."""
    with ExitStack() as stack:
        meter = _Meter(on_progress, sent)
        readers = [Reader(_open(part.upload.content, stack), meter) for part in parts]
        lengths = [reader.length() for reader in readers]
        known = [length for length in lengths if length is not None]
        meter.total = sum(known) if len(known) == len(lengths) else None
        yield readers


def _open(content: Source, stack: ExitStack) -> BinaryIO:
    if isinstance(content, bytes):
        return io.BytesIO(content)
    if isinstance(content, str | os.PathLike):
        return stack.enter_context(Path(content).open("rb"))
    return content


def _name_of(content: Source) -> str:
    if isinstance(content, str | os.PathLike):
        return Path(content).name
    name: object = getattr(content, "name", None)
    return Path(name).name if isinstance(name, str) else "upload"
