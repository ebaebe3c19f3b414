"""The description is complete: every route with its summary, answers and refusals."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.http.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFERENCE = Path(__file__).parents[2] / "docs/reference/api.md"
Operation = tuple[str, str, dict[str, Any]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def document(running: Running) -> dict[str, Any]:
    answer = await running.anyone.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


async def test_every_operation_is_described(operations: list[Operation]) -> None:
    assert len(operations) > 15
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations:
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        for status, answer in operation["responses"].items():
            assert answer["description"], (where, status)
            if status in {"204", "302", "304", "308"}:
                assert not answer.get("content"), (where, status)
            else:
                assert answer["content"], (where, status)


async def test_every_refusal_is_a_problem(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        answers = operation["responses"]
        assert "HTTPValidationError" not in json.dumps(answers)
        for status, answer in answers.items():
            if path == "/ready" or not (status == "default" or status[0] in "45"):
                continue
            assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
        if path.startswith("/api/"):
            assert {"401", "default"} <= set(answers) or operation.get("security") == []


async def test_only_open_routes_need_no_key(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    assert document["security"] == [{"ApiKey": []}, {"Token": []}]
    without = {path for _, path, operation in operations if operation.get("security") == []}
    assert {"/health", "/ready", "/metrics"} <= without
    assert not [path for path in without if path.startswith("/api/v1/jobs")]


async def test_every_reference_is_there(document: dict[str, Any]) -> None:
    for reference in _references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found, reference


async def test_every_path_parameter_is_described(operations: list[Operation]) -> None:
    for _, path, operation in operations:
        described = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path)), path


async def test_the_reference_names_every_route(operations: list[Operation]) -> None:
    text = re.sub(r"{\w+}", "{id}", REFERENCE.read_text())
    for _, path, _ in operations:
        shown = re.sub(r"{\w+}", "{id}", path)
        assert shown in text, path


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
