"""Real models behind the API, by their stand-ins: submitted, resumed, and told missing."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.http.conftest import Api, at_work, settings_of
from tests.models.workshop import BEAR, at_home

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("models")]
GIBIBYTE = 1024**3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Api]:
    """A platform with one GPU to lend, and two models installed."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        at_home(patch, "sf3d", folder)
        at_home(patch, "dreamfusion", folder, fault="stops")
        patch.delenv("CUDA_VISIBLE_DEVICES")
        settings = settings_of(folder / "data", gpus="GPU-7,", memory_bytes=32 * GIBIBYTE)
        async with at_work(settings) as running:
            yield await running.new_organization()


async def test_a_picture_becomes_a_mesh_twice_by_one_loading(api: Api) -> None:
    sent = await api.post("/api/v1/files", files={"file": ("a bear.png", BEAR.read_bytes())})
    job = {"model": "sf3d-v1", "inputs": {"image": sent.json()["id"]}}
    ended = [await api.finished(**job, params={"texture_resolution": 256}) for _ in range(2)]

    assert [each["status"] for each in ended] == ["SUCCEEDED"] * 2
    names = [artifact["name"] for artifact in ended[1]["artifacts"]]
    assert {"mesh.glb", "preview.png", "report.json"} <= set(names)
    reports = []
    for each in ended:
        (found,) = (a for a in each["artifacts"] if a["name"] == "report.json")
        reports.append((await api.get(f"/api/v1/artifacts/{found['id']}/content")).json())
    assert [report["kept_loaded"] for report in reports] == [False, True]
    assert ended[1]["metrics"]["told"]["gpu_peak_bytes"] == 6_327_812_608
    assert {gate["name"]: gate["ok"] for gate in ended[1]["gates"]} == {
        "closed": True,
        "one_piece": True,
    }


async def test_a_training_that_broke_goes_on_from_its_checkpoint(api: Api) -> None:
    params = {"prompt": "a bear", "max_steps": 120, "checkpoint_steps": 50, "texture_size": 256}
    ended = await api.finished(model="dreamfusion-sd", params=params, max_attempts=2)

    assert (ended["status"], ended["attempt"]) == ("SUCCEEDED", 2), ended["error"]
    (found,) = (a for a in ended["artifacts"] if a["name"] == "report.json")
    report = (await api.get(f"/api/v1/artifacts/{found['id']}/content")).json()
    assert report["resumed"]


async def test_a_model_that_is_not_installed_is_listed_with_what_to_set(api: Api) -> None:
    models = {each["name"]: each for each in (await api.get("/api/v1/models")).json()["items"]}

    assert models["sf3d-v1"]["available"]
    assert models["dreamfusion-sd"]["available"]
    assert not models["triposr-v1"]["available"]
    assert "TRIPOSR_PYTHON_PATH" in models["triposr-v1"]["unavailable_reason"]
