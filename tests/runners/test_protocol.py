"""Lines of a program: read when they are right, counted when they are not, never believed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usina.kernel.runners.protocol import (
    Checkpoint,
    DeclaredArtifact,
    Decoder,
    Error,
    LogLine,
    Message,
    Metric,
    Progress,
    Ready,
    Records,
    Result,
    parse,
)

LINE_BYTES = 65_536


def read(*pieces: bytes) -> tuple[list[Message], int]:
    decoder = Decoder(LINE_BYTES)
    messages = [message for piece in pieces for message in decoder.feed(piece)]
    return messages, decoder.rejected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"type": "ready"}, Ready()),
        ({"type": "progress", "progress": 0.5, "stage": "a"}, Progress(0.5, "a")),
        ({"type": "progress", "progress": 7}, Progress(1.0, None)),
        ({"type": "progress", "progress": -7, "stage": None}, Progress(0.0, None)),
        ({"type": "log", "level": "error", "message": "x"}, LogLine("error", "x")),
        (
            {"type": "artifact", "path": "outputs/a/b.png", "kind": "image"},
            DeclaredArtifact("outputs/a/b.png", "b.png", "image"),
        ),
        (
            {"type": "artifact", "path": "outputs/b", "name": "c", "kind": "data"},
            DeclaredArtifact("outputs/b", "c", "data"),
        ),
        ({"type": "metric", "name": "n", "value": 2}, Metric("n", 2)),
        ({"type": "metric", "name": "n", "value": "w"}, Metric("n", "w")),
        ({"type": "metric", "name": "n", "value": -(10**20)}, Metric("n", -1e20)),
        ({"type": "checkpoint", "path": "outputs/c"}, Checkpoint("outputs/c")),
        ({"type": "records", "path": "outputs/r"}, Records("outputs/r")),
        ({"type": "result", "more": [1]}, Result()),
        (
            {"type": "error", "code": "invalid_input", "reason": "r", "message": "m"},
            Error("invalid_input", "r", "m", None),
        ),
        (
            {"type": "error", "code": "worker_lost", "message": "a\0b", "retryable": False},
            Error("runner_failed", None, "ab", False),
        ),
    ],
)
def test_every_type_is_read(line: dict[str, Any], message: Message) -> None:
    assert parse(json.dumps(line).encode()) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"type": "unheard"}',
        b'{"type": ["progress"]}',
        b'{"type": "progress"}',
        b'{"type": "progress", "progress": NaN}',
        b'{"type": "progress", "progress": Infinity}',
        b'{"type": "progress", "progress": 1e999}',
        b'{"type": "progress", "progress": "0.5"}',
        b'{"type": "progress", "progress": true}',
        b'{"type": "progress", "progress": 0.5, "stage": 5}',
        b'{"type": "metric", "name": "n", "value": null}',
        b'{"type": "metric", "name": "n", "value": 1e999}',
        b'{"type": "metric", "name": "n", "value": ' + b"9" * 400 + b"}",
        b'{"type": "metric", "name": 1, "value": 1}',
        b'{"type": "artifact", "path": 1, "kind": "data"}',
        b'{"type": "artifact", "path": "x"}',
        b'{"type": "error", "code": "internal", "retryable": "no"}',
        b'{"type": "log", "message": "\\ud800"}',
        b'{"type": "result"} more',
        b'{"type": "log", "message": "\xff\xfe"}',
        b"\x7fELF\x02\x01\x00",
        b"[" * 60_000,
    ],
)
def test_what_is_no_message_is_none(line: bytes) -> None:
    assert parse(line) is None


def test_half_lines_wait_for_their_other_half() -> None:
    line = b'{"type": "log", "message": "hello"}\n{"type":"result"}\n'
    pieces = [line[place : place + 1] for place in range(len(line))]
    assert read(*pieces) == ([LogLine("info", "hello"), Result()], 0)


def test_a_line_without_an_end_is_held_to_its_bound() -> None:
    flood = b"x" * 100_000
    messages, rejected = read(*[flood] * 50, b'\n{"type":"result"}\n')
    assert (messages, rejected) == ([Result()], 1)


def test_long_lines_are_rejected_and_the_next_is_read() -> None:
    long = json.dumps({"type": "log", "message": "x" * LINE_BYTES}).encode()
    assert read(long + b'\n{"type":"ready"}\n') == ([Ready()], 1)


def test_of_a_burst_of_progress_only_the_last_is_read() -> None:
    burst = b"".join(b'{"type":"progress","progress":0.%d}\n' % n for n in range(100, 900))
    messages, rejected = read(burst + b'{"type":"result"}\n')
    assert (messages, rejected) == ([Progress(0.899, None), Result()], 0)


def test_texts_are_held_to_their_bounds() -> None:
    line = json.dumps({"type": "error", "code": "internal", "message": "x" * 60_000}).encode()
    message = parse(line)
    assert isinstance(message, Error)
    assert len(message.message) == 4000


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    messages, rejected = read(*pieces)
    lines = b"".join(pieces).split(b"\n")
    assert len(messages) + rejected <= len(lines)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = ("progress", "stage", "path", "name", "kind", "value", "code", "message", "retryable")
TYPES = ("ready", "progress", "log", "artifact", "metric", "checkpoint", "records", "error", "x")


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES) | json_values},
        optional=dict.fromkeys(KEYS, json_values),
    )
)
def test_any_json_is_a_message_or_rejected(told: dict[str, Any]) -> None:
    line = json.dumps(told).encode()
    messages, rejected = read(line + b"\n")
    assert len(messages) + rejected == 1
    for message in messages:
        if isinstance(message, Progress):
            assert 0 <= message.fraction <= 1


@given(
    st.lists(st.sampled_from([b'{"type":"result"}', b"{", b"", b'{"type":"ready"}']), max_size=9)
)
def test_how_the_bytes_are_cut_does_not_matter(lines: list[bytes]) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    for size in (1, 3, 7, len(whole) + 1):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert read(*pieces) == read(whole)
