"""Forms read as they arrive: however they are cut, and whatever is wrong with them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from usina.http_kit.multipart import read_parts
from usina.kernel.errors import Malformed, Problem, TooLarge

Message = dict[str, Any]

BODY = (
    b"--b\r\n"
    b'Content-Disposition: form-data; name="model"\r\n\r\necho-v1\r\n'
    b"--b\r\n"
    b'content-disposition: form-data; name="image"; filename="a\xc3\xa9 \\"q\\".png"\r\n'
    b"CONTENT-TYPE: image/png\r\n\r\n\r\n--b\r-not a boundary\r\n--\r\n--\x00\r\n"
    b"--b\r\n"
    b'Content-Disposition: form-data; name="empty"; filename=""\r\n\r\n\r\n'
    b"--b--\r\n"
)
PARTS = [
    ("model", None, None, b"echo-v1"),
    ("image", 'aé "q".png', "image/png", b"\r\n--b\r-not a boundary\r\n--\r\n--\x00"),
    ("empty", "", None, b""),
]


def request(
    *chunks: bytes,
    content_type: str = "multipart/form-data; boundary=b",
    disconnects: bool = False,
) -> Request:
    async def messages() -> AsyncIterator[Message]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        if disconnects:
            yield {"type": "http.disconnect"}
        yield {"type": "http.request", "body": b"", "more_body": False}

    incoming = messages()

    async def receive() -> Message:
        return await anext(incoming)

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(asked: Request) -> list[tuple[str, str | None, str | None, bytes]]:
    found: list[tuple[str, str | None, str | None, bytes]] = []
    async for part in read_parts(asked):
        content = b"".join([chunk async for chunk in part.chunks()])
        found.append((part.name, part.filename, part.content_type, content))
    return found


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10_000])
async def test_however_a_form_is_cut_its_parts_are_the_same(step: int) -> None:
    chunks = [BODY[at : at + step] for at in range(0, len(BODY), step)]
    assert await read(request(*chunks)) == PARTS


async def test_a_part_that_is_left_early_is_skipped() -> None:
    names: list[str] = []
    async for part in read_parts(request(BODY)):
        names.append(part.name)
        async for _ in part.chunks():
            break
    assert names == ["model", "image", "empty"]


async def test_a_field_is_text_and_bounded() -> None:
    async for part in read_parts(request(BODY)):
        if part.name == "model":
            assert await part.text() == "echo-v1"
        if part.name == "image":
            with pytest.raises(TooLarge):
                await part.text(5)


async def test_a_field_that_is_not_utf8_is_refused() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n\xff\r\n--b--\r\n'
    part = await anext(read_parts(request(body)))
    with pytest.raises(Problem) as refusal:
        await part.text()
    assert refusal.value.code == "malformed_multipart"


@pytest.mark.parametrize("end", range(len(BODY) - len(b"--b--\r\n")))
async def test_a_form_that_ends_early_is_refused(end: int) -> None:
    with pytest.raises(Problem) as refusal:
        await read(request(BODY[:end]))
    assert (refusal.value.status, refusal.value.code) == (400, "malformed_multipart")


async def test_a_client_that_goes_is_told_apart() -> None:
    with pytest.raises(ClientDisconnect):
        await read(request(BODY[:100], disconnects=True))


async def test_a_form_without_parts_has_none() -> None:
    assert await read(request(b"--b--\r\n")) == []


async def test_what_comes_after_the_end_is_ignored() -> None:
    assert await read(request(BODY, b"epilogue" * 1000)) == PARTS


@given(st.lists(st.binary(max_size=60), max_size=6), st.integers(0, len(BODY)), st.booleans())
async def test_no_body_breaks_the_reader(noise: list[bytes], at: int, framed: bool) -> None:
    chunks = [BODY[:at], *noise, BODY[at:]] if framed else noise
    [outcome] = await asyncio.gather(read(request(*filter(None, chunks))), return_exceptions=True)
    assert isinstance(outcome, list | Malformed)
