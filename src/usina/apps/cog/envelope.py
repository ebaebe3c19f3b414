"""Predictions as JSON with files inside, both ways, without holding a file in memory.

Cog sends a file as a base64 data URI in the midst of a JSON text. On the way out such a text is
sent in parts; on the way in every such string becomes a file while it arrives.
"""

import base64
import binascii
import json
import mimetypes
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

_BLOCK: Final = 3 * 128 * 1024
_DATA: Final = re.compile(rb'data:([^",\\]{0,255}?)(?:;[^",\\;]{0,200})*;base64,')
_HEAD: Final = 512
_MOST_TEXT: Final = 64 * 1024**2
_PLAIN: Final = re.compile(rb'["\\]')


class Unreadable(Exception):
    """What came is not the JSON of a prediction, or not whole; the message says what is wrong."""


class NoPrediction(Unreadable):
    """What came is no JSON object at all."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A string that was a file; ``media_type`` is what was said of it."""

    path: Path
    media_type: str


class Request:
    """The body of a request with files of the disk in it: iterating yields its bytes."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """``content`` is JSON with paths where the files go."""
        self._mark = uuid.uuid4().hex
        self._files: list[Path] = []
        text = json.dumps(content, default=self._noted).encode()
        self._texts = text.split(self._mark.encode())

    def _noted(self, path: object) -> str:
        assert isinstance(path, Path), "nothing else is left to write"
        self._files.append(path)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{self._mark}"

    def __len__(self) -> int:
        sizes = (4 * ((path.stat().st_size + 2) // 3) for path in self._files)
        return sum(map(len, self._texts)) + sum(sizes)

    def __iter__(self) -> Iterator[bytes]:
        yield self._texts[0]
        for path, text in zip(self._files, self._texts[1:], strict=True):
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield base64.b64encode(block)
            yield text


def read(parts: Iterable[bytes], stem: Path) -> dict[str, Any]:
    """The prediction, with a `DataFile` for every file in it, whose names begin with ``stem``;
    files of its ``input``, which are ours, are passed over. Raises `Unreadable`."""
    reader = _Reader(stem)
    try:
        for part in parts:
            reader.feed(part)
        return reader.end()
    finally:
        reader.close()


class _Reader:
    """Strings that are files leave a mark in the text that is parsed in the end."""

    def __init__(self, stem: Path) -> None:
        self._stem = stem
        self._mark = uuid.uuid4().hex
        self._text = bytearray()
        self._rest = b""
        self._step = self._outside
        self._depth = 0
        self._is_value = False
        self._key = b""
        self._key_from = 0
        self._file: IO[bytes] | None = None
        self._files: list[DataFile] = []
        self._odd = b""

    def feed(self, part: bytes) -> None:
        data = self._rest + part
        self._rest = b""
        at = 0
        while at < len(data):
            at = self._step(data, at)
        if len(self._text) > _MOST_TEXT:
            raise Unreadable(f"its text is longer than {_MOST_TEXT // 1024**2} MiB")

    def end(self) -> dict[str, Any]:
        try:
            told = json.loads(bytes(self._text)) if self._step == self._outside else None
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise NoPrediction("it is no JSON object, or was cut")
        return self._restored(told)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _outside(self, data: bytes, at: int) -> int:
        end = data.find(b'"', at)
        part = data[at:] if end < 0 else data[at : end + 1]
        self._text += part
        self._depth += part.count(b"{") + part.count(b"[") - part.count(b"}") - part.count(b"]")
        told = part.rstrip(b'" \t\r\n')
        self._is_value = told.endswith(b":") if told else self._is_value
        if end < 0:
            return len(data)
        self._key_from = len(self._text)
        self._step = self._head
        return end + 1

    def _head(self, data: bytes, at: int) -> int:
        found = _DATA.match(data, at)
        if found is not None:
            self._begin_file(found[1].decode("ascii", "replace"))
            self._step = self._inside_file
            return found.end()
        start = data[at : at + _HEAD]
        undecided = start[:5] == b"data:"[: len(start)] and b'"' not in start and b"," not in start
        if undecided and len(start) < _HEAD:
            self._rest = data[at:]
            return len(data)
        self._step = self._inside_text
        return at

    def _inside_text(self, data: bytes, at: int) -> int:
        found = _PLAIN.search(data, at)
        if found is None:
            self._text += data[at:]
            return len(data)
        if found[0] == b"\\":
            if found.end() == len(data):
                self._text += data[at : found.start()]
                self._rest = b"\\"
                return len(data)
            self._text += data[at : found.end() + 1]
            return found.end() + 1
        self._text += data[at : found.end()]
        self._string_ended()
        return found.end()

    def _inside_file(self, data: bytes, at: int) -> int:
        end = data.find(b'"', at)
        whole = self._odd + data[at : end if end >= 0 else len(data)].replace(b"\\", b"")
        cut = len(whole) - len(whole) % 4
        self._odd = whole[cut:]
        if self._file is not None:
            try:
                self._file.write(base64.b64decode(whole[:cut], validate=True))
            except binascii.Error:
                raise Unreadable("a file in it is no base64") from None
        if end < 0:
            return len(data)
        self._end_file()
        return end + 1

    def _begin_file(self, media_type: str) -> None:
        ours = self._key == b"input" and self._depth > 1
        self._odd = b""
        if ours:
            return
        path = self._stem.with_name(f"{self._stem.name}-{len(self._files)}")
        file = DataFile(path, media_type)
        self._file = file.path.open("xb")
        self._text += f"{self._mark}{len(self._files)}".encode()
        self._files.append(file)

    def _end_file(self) -> None:
        if self._odd and self._file is not None:
            raise Unreadable("a file in it is cut")
        self.close()
        self._file = None
        self._text += b'"'
        self._string_ended()

    def _string_ended(self) -> None:
        if self._depth == 1 and not self._is_value:
            self._key = bytes(self._text[self._key_from : -1])
        self._is_value = False
        self._step = self._outside

    def _restored(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(self._mark):
            return self._files[int(value[len(self._mark) :])]
        if isinstance(value, list):
            return [self._restored(each) for each in cast(list[Any], value)]
        if isinstance(value, dict):
            return {k: self._restored(v) for k, v in cast(dict[str, Any], value).items()}
        return value
