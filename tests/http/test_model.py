"""The catalogue over HTTP."""

import pytest

from tests.http.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = {
    *("name", "version", "task", "description", "license", "input_schema", "params_schema"),
    *("default_params", "resources", "timeout_seconds", "available", "unavailable_reason"),
    *("gates", "terms", "weights", "installable", "waits_because"),
}


async def test_every_model_is_listed_by_name(api: Api) -> None:
    listed = (await api.get("/api/v1/models")).json()
    names = [model["name"] for model in listed["items"]]
    assert names == sorted(names)
    assert "echo-v1" in names
    assert listed["next_cursor"] is None
    for model in listed["items"]:
        assert set(model) == KEYS
        needs = {"gpu", "memory_bytes", "slots", "gpu_memory_bytes", "cpu"}
        assert set(model["resources"]) == needs
        assert model["available"] is (model["unavailable_reason"] is None)
        assert (await api.get(f"/api/v1/models/{model['name']}")).json() == model


async def test_pages(api: Api) -> None:
    whole = (await api.get("/api/v1/models")).json()["items"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.get(f"/api/v1/models?limit=1{cursor and f'&cursor={cursor}'}")
        seen += [model["name"] for model in page.json()["items"]]
        cursor = page.json()["next_cursor"]
    assert seen == [model["name"] for model in whole]


@pytest.mark.parametrize("name", ["nothing-v1", "ECHO-V1", "echo-v1 ", "%00"])
async def test_unknown(api: Api, name: str) -> None:
    assert (await api.get(f"/api/v1/models/{name}")).json()["code"] == "not_found"
