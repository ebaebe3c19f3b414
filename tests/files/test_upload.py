"""Uploads in several requests: what arrived is kept, what is complete is a file, once."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.files.conftest import MAX_BYTES, Desk, stream
from usina.kernel.errors import Conflict, Invalid, Malformed, NotFound, TooLarge
from usina.kernel.files.file import Upload
from usina.kernel.files.part import Part, received_bytes
from usina.kernel.files.upload import Piece, Progress

MIB = 1024**2
DATA = b"\x89PNG\r\n\x1a\n" + os.urandom(10 * MIB)
SIZE = len(DATA)


async def opened(desk: Desk, size: int | None = SIZE) -> Upload:
    return await desk.files.uploads.open(desk.caller, "a.jpg", "image/jpeg", size)


def piece(start: int, stop: int, total: int | None = SIZE) -> Piece:
    return Piece(start, stop, total, resumable=True)


async def breaking(data: bytes) -> AsyncIterator[bytes]:
    async for chunk in stream(data):
        yield chunk
    raise ConnectionError("gone")


async def content(desk: Desk, file_id: str) -> bytes:
    file = await desk.files.get(desk.caller, file_id)
    return b"".join([bytes(step) async for step in desk.files.read(file, 0, file.size_bytes)])


async def test_sent_whole_and_completed(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    with pytest.raises(NotFound):
        await desk.files.get(desk.caller, upload.id)
    assert await uploads.receive(upload.id, Piece(stop=SIZE), stream(DATA)) == Progress(SIZE, True)
    with pytest.raises(NotFound):
        await desk.files.get(desk.caller, upload.id)
    file, made = await uploads.complete(desk.caller, upload.id)
    assert made
    assert (file.id, file.name, file.media_type) == (upload.id, "a.jpg", "image/png")
    assert (file.size_bytes, file.sha256) == (SIZE, hashlib.sha256(DATA).hexdigest())
    assert await uploads.complete(desk.caller, upload.id) == (file, False)
    assert await content(desk, file.id) == DATA


async def test_sent_in_pieces(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    for start in range(0, SIZE, 4 * MIB):
        stop = min(start + 4 * MIB, SIZE)
        assert await uploads.progress(upload.id, None) == Progress(start, False)
        progress = await uploads.receive(upload.id, piece(start, stop), stream(DATA[start:stop]))
        assert progress == Progress(stop, stop == SIZE)
    assert (await uploads.complete(desk.caller, upload.id))[0].size_bytes == SIZE
    assert await content(desk, upload.id) == DATA
    assert desk.objects() == [upload.key]


async def test_a_piece_that_breaks_keeps_what_arrived(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    with pytest.raises(ConnectionError):
        await uploads.receive(upload.id, piece(0, SIZE), breaking(DATA[: 9 * MIB + 17]))
    assert await uploads.progress(upload.id, SIZE) == Progress(9 * MIB + 17, False)
    rest = piece(9 * MIB + 17, SIZE)
    assert (await uploads.receive(upload.id, rest, stream(DATA[9 * MIB + 17 :]))).complete
    assert (await uploads.complete(desk.caller, upload.id))[1]
    assert await content(desk, upload.id) == DATA


async def test_a_whole_that_breaks_keeps_nothing_and_can_be_sent_again(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    with pytest.raises(ConnectionError):
        await uploads.receive(upload.id, Piece(stop=SIZE), breaking(DATA[: 9 * MIB]))
    assert desk.objects() == []
    assert await uploads.progress(upload.id, None) == Progress(0, False)
    assert (await uploads.receive(upload.id, Piece(stop=SIZE), stream(DATA))).complete


async def test_pieces_may_overlap_and_come_twice(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    for start, stop in [(0, 5 * MIB), (0, 2 * MIB), (3 * MIB, 7 * MIB), (6 * MIB, SIZE)]:
        await uploads.receive(upload.id, piece(start, stop), stream(DATA[start:stop]))
    await uploads.complete(desk.caller, upload.id)
    assert await content(desk, upload.id) == DATA


async def test_a_piece_after_a_gap_is_not_taken(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    await uploads.receive(upload.id, piece(0, MIB), stream(DATA[:MIB]))
    late = piece(2 * MIB, SIZE)
    assert await uploads.receive(upload.id, late, stream(DATA[2 * MIB :])) == Progress(MIB, False)
    assert await uploads.progress(upload.id, None) == Progress(MIB, False)


async def test_a_body_shorter_than_the_file_is_a_first_piece(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    progress = await uploads.receive(upload.id, Piece(stop=MIB), stream(DATA[:MIB]))
    assert progress == Progress(MIB, False)
    with pytest.raises(Conflict) as refusal:
        await uploads.complete(desk.caller, upload.id)
    assert refusal.value.code == "upload_incomplete"
    assert f"{MIB} of {SIZE}" in refusal.value.detail


async def test_a_whole_of_unknown_length_that_is_too_short_is_refused(desk: Desk) -> None:
    upload = await opened(desk)
    with pytest.raises(Conflict) as refusal:
        await desk.files.uploads.receive(upload.id, Piece(), stream(DATA[:MIB]))
    assert refusal.value.code == "upload_incomplete"
    assert desk.objects() == []


async def test_more_than_was_announced_is_refused(desk: Desk) -> None:
    upload = await opened(desk, MIB)
    uploads = desk.files.uploads
    with pytest.raises(TooLarge):
        await uploads.receive(upload.id, Piece(), stream(DATA))
    with pytest.raises(Malformed):
        await uploads.receive(upload.id, piece(0, MIB, MIB), stream(DATA[: MIB + 1]))
    with pytest.raises(Invalid) as refusal:
        await uploads.receive(upload.id, piece(0, SIZE, SIZE), stream(DATA))
    assert refusal.value.code == "upload_size"


@pytest.mark.parametrize(
    ("size", "error"), [(0, Invalid), (-1, Invalid), (MAX_BYTES + 1, TooLarge)]
)
async def test_a_size_that_no_file_may_have_opens_nothing(
    desk: Desk, size: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await opened(desk, size)
    assert await desk.rows() == []


async def test_an_upload_that_nobody_sent_to_is_incomplete(desk: Desk) -> None:
    upload = await opened(desk)
    with pytest.raises(Conflict) as refusal:
        await desk.files.uploads.complete(desk.caller, upload.id)
    assert refusal.value.code == "upload_incomplete"


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_ticket_becomes_a_file_with_its_last_byte(desk: Desk, resumable: bool) -> None:
    ticket = await opened(desk, None)
    uploads = desk.files.uploads
    sent = piece(0, SIZE) if resumable else Piece(stop=SIZE)
    assert (await uploads.receive(ticket.id, sent, stream(DATA))).complete
    file = await desk.files.get(desk.caller, ticket.id)
    assert (file.media_type, file.sha256) == ("image/png", hashlib.sha256(DATA).hexdigest())
    assert await uploads.complete(desk.caller, ticket.id) == (file, False)


async def test_an_empty_ticket_is_refused(desk: Desk) -> None:
    ticket = await opened(desk, None)
    with pytest.raises(Invalid) as refusal:
        await desk.files.uploads.receive(ticket.id, Piece(stop=0), stream(b""))
    assert refusal.value.code == "empty_file"
    assert desk.objects() == []


async def test_what_is_received_can_not_be_changed(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    await uploads.receive(upload.id, Piece(stop=SIZE), stream(DATA))
    other = bytes(SIZE)
    for again in (Piece(stop=SIZE), piece(0, SIZE)):
        assert (await uploads.receive(upload.id, again, stream(other))).complete
    await uploads.complete(desk.caller, upload.id)
    assert (await uploads.receive(upload.id, Piece(stop=SIZE), stream(other))).complete
    assert await content(desk, upload.id) == DATA


async def test_of_two_at_once_one_wins_and_its_hash_is_true(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    contents = [bytes([n]) * SIZE for n in range(4)]
    await asyncio.gather(
        *(uploads.receive(upload.id, Piece(stop=SIZE), stream(sent)) for sent in contents)
    )
    file, _ = await uploads.complete(desk.caller, upload.id)
    stored = await content(desk, upload.id)
    assert stored in contents
    assert hashlib.sha256(stored).hexdigest() == file.sha256


async def test_of_many_completions_one_makes_the_file(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    await uploads.receive(upload.id, piece(0, SIZE), stream(DATA))
    answers = await asyncio.gather(*(uploads.complete(desk.caller, upload.id) for _ in range(8)))
    assert sorted(made for _, made in answers) == [False] * 7 + [True]
    assert len({file for file, _ in answers}) == 1


async def test_an_object_whose_row_a_crash_forgot_is_adopted(desk: Desk) -> None:
    upload = await opened(desk)
    desk.store.put(upload.key, DATA)
    file, made = await desk.files.uploads.complete(desk.caller, upload.id)
    assert made
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()


async def test_after_its_time_an_upload_is_not_there(desk: Desk) -> None:
    upload = await opened(desk)
    uploads = desk.files.uploads
    await uploads.receive(upload.id, Piece(stop=SIZE), stream(DATA))
    assert upload.expires_at == desk.clock.now() + timedelta(hours=1)
    desk.clock.advance(3600)
    with pytest.raises(NotFound):
        await uploads.receive(upload.id, Piece(stop=SIZE), stream(DATA))
    with pytest.raises(NotFound):
        await uploads.complete(desk.caller, upload.id)


async def test_an_upload_that_is_swept_while_it_arrives_is_gone(desk: Desk) -> None:
    upload = await opened(desk)

    async def slow() -> AsyncIterator[bytes]:
        yield DATA[:MIB]
        desk.clock.advance(3600)
        yield DATA[MIB:]

    with pytest.raises(NotFound):
        await desk.files.uploads.receive(upload.id, Piece(stop=SIZE), slow())
    assert desk.objects() == []


@pytest.mark.parametrize("upload_id", ["", "1", "../x", "01981c3e-0000-7000-8000-000000000000"])
async def test_an_id_of_nothing_is_not_found(desk: Desk, upload_id: str) -> None:
    uploads = desk.files.uploads
    with pytest.raises(NotFound):
        await uploads.complete(desk.caller, upload_id)
    with pytest.raises(NotFound):
        await uploads.receive(upload_id, Piece(), stream(b"x"))


async def test_anothers_upload_can_not_be_completed(desk: Desk) -> None:
    upload = await opened(desk)
    await desk.files.uploads.receive(upload.id, Piece(stop=SIZE), stream(DATA))
    with pytest.raises(NotFound):
        await desk.files.uploads.complete(desk.other, upload.id)


def parts(spans: list[tuple[int, int]]) -> list[Part]:
    return [Part(start, start + length, "key") for start, length in sorted(spans)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=8).map(parts))
def test_what_is_received_ends_at_the_first_gap(arrived: list[Part]) -> None:
    there = {byte for part in arrived for byte in range(part.start, part.stop)}
    gap = next(byte for byte in range(100) if byte not in there)
    assert received_bytes(arrived) == gap


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cuts=st.lists(st.integers(1, 4999), max_size=6), broken=st.booleans())
async def test_however_it_is_cut_the_file_is_the_same(
    desk: Desk, cuts: list[int], broken: bool
) -> None:
    data = DATA[:5000]
    upload = await opened(desk, 5000)
    edges = [0, *sorted(set(cuts)), 5000]
    for start, stop in pairwise(edges):
        if broken:
            half = data[start : (start + stop) // 2]
            with pytest.raises(ConnectionError):
                await desk.files.uploads.receive(
                    upload.id, piece(start, stop, 5000), breaking(half)
                )
        chunks = stream(data[start:stop], 100)
        await desk.files.uploads.receive(upload.id, piece(start, stop, 5000), chunks)
    await desk.files.uploads.complete(desk.caller, upload.id)
    assert await content(desk, upload.id) == data
