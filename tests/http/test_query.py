"""Query strings: a misspelt filter is refused, never ignored."""

from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from usina.faces.http.job import JobQuery, WaitQuery
from usina.http_kit.paging import PageQuery, decode_cursor, encode_cursor
from usina.http_kit.query import Query, parameters, read_query
from usina.kernel.errors import Invalid
from usina.kernel.ids import new_id
from usina.kernel.jobs.state import Status


def _request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def test_nothing_asked_is_the_default() -> None:
    assert read_query(_request(""), JobQuery) == JobQuery()
    assert read_query(_request(""), PageQuery).limit == 50


def test_a_full_query() -> None:
    query = "status=RUNNING&status=QUEUED&model=echo-v1&label.k=v&label.a.b=%26&limit=200"
    found = read_query(_request(query + "&created_after=2026-01-02T03:04:05Z"), JobQuery)
    assert found.status == (Status.RUNNING, Status.QUEUED)
    assert found.model == "echo-v1"
    assert found.labels == {"k": "v", "a.b": "&"}
    assert found.limit == 200
    assert found.created_after == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "query", "code", "pointer"),
    [
        (JobQuery, "limit=0", "validation_failed", "/limit"),
        (JobQuery, "limit=201", "validation_failed", "/limit"),
        (JobQuery, "limit=-1", "validation_failed", "/limit"),
        (JobQuery, "limit=1e9", "validation_failed", "/limit"),
        (JobQuery, "limit=", "validation_failed", "/limit"),
        (JobQuery, "limit=1_0", "validation_failed", "/limit"),
        (JobQuery, "limit=+5", "validation_failed", "/limit"),
        (JobQuery, "limit=%D9%A5", "validation_failed", "/limit"),
        (JobQuery, "created_after=0", "validation_failed", "/created_after"),
        (JobQuery, "created_after=2026-02-30T00:00:00Z", "validation_failed", "/created_after"),
        (JobQuery, "model=a%00b", "validation_failed", "/model"),
        (JobQuery, "label.k=%00", "validation_failed", "/label.k"),
        (JobQuery, "label.%00=v", "validation_failed", "/label.\0"),
        (JobQuery, "limit=1&limit=2", "validation_failed", "/limit"),
        (JobQuery, "status=DONE", "validation_failed", "/status/0"),
        (JobQuery, "status=running", "validation_failed", "/status/0"),
        (JobQuery, "created_after=yesterday", "validation_failed", "/created_after"),
        (JobQuery, "created_after=2026-01-01T00:00:00", "validation_failed", "/created_after"),
        (JobQuery, "label.k=v&label.k=w", "validation_failed", "/label.k"),
        (JobQuery, "labels=x", "unknown_field", "/labels"),
        (JobQuery, "label=x", "unknown_field", "/label"),
        (JobQuery, "states=RUNNING", "unknown_field", "/states"),
        (JobQuery, "a%2Fb~=1", "unknown_field", "/a~1b~0"),
        (WaitQuery, "wait_seconds=61", "validation_failed", "/wait_seconds"),
        (WaitQuery, "wait_seconds=-0.1", "validation_failed", "/wait_seconds"),
        (WaitQuery, "wait_seconds=nan", "validation_failed", "/wait_seconds"),
        (WaitQuery, "wait_seconds=1_0", "validation_failed", "/wait_seconds"),
        (WaitQuery, "wait_seconds=inf", "validation_failed", "/wait_seconds"),
        (WaitQuery, "wait=5", "unknown_field", "/wait"),
    ],
)
def test_refusals(model: type[Query], query: str, code: str, pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_query(_request(query), model)
    assert refusal.value.code == code
    assert [error.pointer for error in refusal.value.errors] == [pointer]


@pytest.mark.parametrize("query", ["a=%ff", "&".join(f"label.{n}=1" for n in range(300))])
def test_what_can_not_be_read(query: str) -> None:
    with pytest.raises(Invalid):
        read_query(_request(query), JobQuery)


def test_the_description_names_every_parameter() -> None:
    described = {parameter["name"]: parameter for parameter in parameters(JobQuery)}
    assert set(described) == {"limit", "cursor", "status", "model", "created_after", "label.*"}
    assert described["limit"]["schema"]["maximum"] == 200
    assert all(parameter["description"] for parameter in described.values())


def test_a_cursor_is_good_for_its_list_only() -> None:
    known = new_id()
    cursor = encode_cursor("jobs", known)
    assert decode_cursor("jobs", cursor) == known
    assert decode_cursor("jobs", None) is None
    for wrong in ("", "x", "é", cursor + "!", cursor[:3], encode_cursor("models", "a")):
        with pytest.raises(Invalid) as refusal:
            decode_cursor("jobs", wrong)
        assert refusal.value.errors[0].pointer == "/cursor"
