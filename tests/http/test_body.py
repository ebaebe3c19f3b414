"""JSON bodies: what could be read in two ways is not read at all."""

import json

import pytest

from usina.faces.http.submission import BATCH, SUBMISSION
from usina.http_kit.body import parse_json, validated
from usina.kernel.errors import Invalid, Malformed, Problem

MALFORMED = {
    "empty": b"",
    "cut off": b'{"model": "echo-v1"',
    "trailing comma": b'{"model": "echo-v1",}',
    "something after it": b"{} {}",
    "single quotes": b"{'model': 'echo-v1'}",
    "a comment": b'{"a": 1 /* one */}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "infinite by size": b'{"a": 1e999}',
    "a number of 5 000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a leading zero": b'{"a": 01}',
    "a name twice": b'{"a": 1, "a": 1}',
    "a name twice further in": b'{"a": [{"b": {"c": 1, "c": 2}}]}',
    "a name twice by escape": b'{"a": 1, "\\u0061": 2}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "surrogates in the wrong order": b'{"a": "\\udc00\\ud800"}',
    "a control character": b'{"a": "\x01"}',
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "10 000 arrays in each other": b"[" * 10_000 + b"]" * 10_000,
    "10 000 objects in each other": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(body: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_json(body)
    assert refusal.value.code == "malformed_json"
    assert len(refusal.value.detail) < 200


@pytest.mark.parametrize(
    "value",
    [{}, [], 0, -0.5, 1e308, 2**100, "é \U0001f600 \u0000", None, True, {"a": {"a": [{"a": 1}]}}],
)
def test_what_json_allows_comes_back_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


def _refusal(value: object) -> Problem:
    with pytest.raises(Invalid) as refusal:
        validated(SUBMISSION, value).request()
    return refusal.value


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        ([], "validation_failed", ""),
        ("echo-v1", "validation_failed", ""),
        (None, "validation_failed", ""),
        ({}, "validation_failed", "/model"),
        ({"model": None}, "validation_failed", "/model"),
        ({"model": ["echo-v1"]}, "validation_failed", "/model"),
        ({"model": "m", "params": None}, "validation_failed", "/params"),
        ({"model": "m", "params": []}, "validation_failed", "/params"),
        ({"model": "m", "priority": "1"}, "validation_failed", "/priority"),
        ({"model": "m", "priority": 1.0}, "validation_failed", "/priority"),
        ({"model": "m", "priority": True}, "validation_failed", "/priority"),
        ({"model": "m", "timeout_seconds": "600"}, "validation_failed", "/timeout_seconds"),
        ({"model": "m", "labels": {"k": 1}}, "validation_failed", "/labels/k"),
        ({"model": "m", "labels": {"a/b~c": 1}}, "validation_failed", "/labels/a~1b~0c"),
        ({"model": "m", "inputs": {"image": 1}}, "validation_failed", "/inputs/image"),
        ({"model": "m", "inputs": {"image": [1]}}, "validation_failed", "/inputs/image"),
        ({"model": "m", "inputs": {"image": {"id": "x"}}}, "validation_failed", "/inputs/image"),
        ({"model": "m", "Model": "m"}, "unknown_field", "/Model"),
        ({"model": "m", "organization_id": "x"}, "unknown_field", "/organization_id"),
        (
            {"model": "m", "callback_url": ["https://a.example"]},
            "validation_failed",
            "/callback_url",
        ),
    ],
)
def test_a_submit_is_strict(value: object, code: str, pointer: str) -> None:
    refusal = _refusal(value)
    assert refusal.status == 422
    assert refusal.code == code
    assert [error.pointer for error in refusal.errors] == [pointer]


def test_every_wrong_place_is_named() -> None:
    refusal = _refusal({"params": 1, "priority": "x", "other": 1})
    assert {error.pointer for error in refusal.errors} == {
        "/model",
        "/params",
        "/priority",
        "/other",
    }
    assert refusal.code == "validation_failed"


def test_a_batch_points_into_its_jobs() -> None:
    with pytest.raises(Invalid) as refusal:
        validated(BATCH, {"jobs": [{"model": "m"}, {"model": "m", "priority": "x"}]})
    assert [error.pointer for error in refusal.value.errors] == ["/jobs/1/priority"]
    requests = validated(BATCH, {"jobs": [{"model": "m"}, {"model": "n"}]}).requests()
    assert [request.pointer for request in requests] == ["/jobs/0", "/jobs/1"]


@pytest.mark.parametrize("jobs", [[], [{"model": "m"}] * 1001])
def test_a_batch_has_1_to_1000_jobs(jobs: list[object]) -> None:
    with pytest.raises(Invalid) as refusal:
        validated(BATCH, {"jobs": jobs})
    assert [error.pointer for error in refusal.value.errors] == ["/jobs"]
