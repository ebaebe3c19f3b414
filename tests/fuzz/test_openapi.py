"""Whatever fits or does not fit the described API, the answer is a described one and never a 5xx.

``USINA_FUZZ_EXAMPLES`` is how many requests each operation gets, of each kind; a thousand make a
long run.
"""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.torture.platform import Running, running
from usina.faces.http.app import create_api
from usina.kernel.platform import Platform
from usina.kernel.registry import Registry, discover_apps

EXAMPLES = int(os.environ.get("USINA_FUZZ_EXAMPLES", "5"))
ROOMS = SimpleNamespace(registry=Registry((), apps=discover_apps("usina.apps")))
SCHEMA = schemathesis.openapi.from_dict(create_api(cast("Platform", ROOMS)).openapi())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
WAYS = [
    pytest.param(label, mode, id=f"{label} {mode.value}")
    for label, operation in OPERATIONS.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.body or [*operation.iter_parameters()]
]
STREAM = "text/event-stream"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("fuzz") / "data") as started:
        yield started


@pytest.mark.timeout(30 + 2 * EXAMPLES)
@pytest.mark.parametrize(("operation", "mode"), WAYS)
def test_every_operation_answers_as_it_is_described(
    operation: str, mode: GenerationMode, platform: Running
) -> None:
    answered: list[int] = []
    endless = STREAM in str(OPERATIONS[operation].definition.raw["responses"])
    seconds = 3 if endless else 30

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        key = {"x-api-key": platform.api_key}
        response = case.call(base_url=platform.url, headers=key, timeout=seconds)
        case.validate_response(response, checks=CHECKS)
        answered.append(response.status_code)

    ask()
    assert answered
