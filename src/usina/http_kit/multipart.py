"""``multipart/form-data`` read as it arrives: part after part, chunk after chunk.

Nothing is spooled and nothing is held: whoever reads a part decides where its bytes go. A part
that is left early is read to its end and forgotten before the next one comes.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from usina.kernel.errors import Malformed, TooLarge, UnsupportedMedia

MULTIPART: Final = "multipart/form-data"
_MOST_PARTS: Final = 200
_MOST_FIELD_BYTES: Final = 1024**2
_MOST_HEADERS: Final = 16
_MOST_HEADER_BYTES: Final = 8 * 1024


class Part:
    """A field or a file of the form; ``filename`` is null for a field."""

    def __init__(self, body: "_Body", headers: dict[bytes, bytes]) -> None:
        disposition, options = parse_options_header(headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise _malformed("a part has no Content-Disposition of form-data with a name")
        filename = options.get(b"filename")
        self._body = body
        self.name: Final = _text(options[b"name"])
        self.filename: Final = None if filename is None else _text(filename)
        self.content_type: Final = headers.get(b"content-type", b"").decode("latin-1") or None
        self.ended = False

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The bytes of the part as they arrive, once."""
        while not self.ended:
            item = await self._body.next()
            if isinstance(item, bytes):
                yield item
            else:
                self.ended = True

    async def text(self, most_bytes: int = _MOST_FIELD_BYTES) -> str:
        """The value of a field."""
        value = bytearray()
        async for chunk in self.chunks():
            value += chunk
            if len(value) > most_bytes:
                raise TooLarge(f"The field {self.name!r} has more than {most_bytes} bytes.")
        return _text(bytes(value))


async def read_parts(request: Request) -> AsyncGenerator[Part]:
    """The parts of the request's form, in the order in which they come.

    Raises ``UnsupportedMedia`` for another content type, ``Malformed`` (``malformed_multipart``)
    where the form is broken or ends early, and Starlette's ``ClientDisconnect``.
    """
    body = _Body(request.stream(), _boundary(request.headers.get("content-type")))
    while isinstance(part := await body.next(), Part):
        yield part
        async for _ in part.chunks():
            pass


class _End:
    """The end of a part; after the last one, of the form."""


_END: Final = _End()


class _Body:
    """The parser, what feeds it, and what it has found that nobody has asked for yet."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: bytes) -> None:
        self._chunks = chunks
        self._found: deque[Part | bytes | _End] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._parts = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_end,
                "on_end": self._on_end,
            },
            max_header_count=_MOST_HEADERS,
            max_header_size=_MOST_HEADER_BYTES,
        )

    async def next(self) -> Part | bytes | _End:
        while not self._found:
            chunk = await anext(self._chunks, b"")
            if not chunk:
                raise _malformed("it ends before its last boundary")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _malformed(str(error)) from error
        return self._found.popleft()

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _malformed(f"it has more than {_MOST_PARTS} parts")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        self._found.append(Part(self, self._headers))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])

    def _on_end(self) -> None:
        self._found.append(_END)


def _boundary(content_type: str | None) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type.decode("latin-1") != MULTIPART:
        raise UnsupportedMedia(f"Send the body with Content-Type: {MULTIPART}.")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise _malformed("its Content-Type has no boundary of 1 to 70 characters")
    return boundary


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _malformed("a name or field is not UTF-8") from error


def _malformed(why: str) -> Malformed:
    return Malformed(f"The form can not be read: {why}.", code="malformed_multipart")
