"""The avatar room's engine by setting: the painter behind it, a fallback, a clear refusal."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.avatars.customers.conftest import Studio, a_customer
from tests.avatars.painted.conftest import room
from tests.avatars.program import codes
from tests.models.automatic1111.server import webui
from usina.settings import Settings

pytestmark = pytest.mark.timeout(300)
PAINTER = "stable-diffusion-img2img"


async def report_of(studio: Studio, job_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job, and what its report says."""
    job = (await studio.get(f"/api/v1/jobs/{job_id}")).json()
    found = {each["name"]: each["id"] for each in job["artifacts"]}
    told = await studio.get(f"/api/v1/artifacts/{found['report.json']}/content")
    return job, told.json()


async def test_a_customers_photo_is_made_whatever_the_server_does_and_erased(
    tmp_path: Path,
) -> None:
    """Up, gone in the middle of a picture, and back: painted, drawn, painted."""
    both = f"{PAINTER}, avatar-studio-v1"
    with webui() as (state, url):
        async with room(tmp_path, both, STABLE_DIFFUSION_URL=url) as studio:
            name, engines, doubtful = a_customer(), [], []
            for state.mode in ("", "broken_off", ""):
                done = await studio.done(name, prompt="a knight in armour", style="pop-art")
                assert done["status"] == "DONE", done
                picture = await studio.client.get(done["generatedPhotoUrl"])
                with Image.open(io.BytesIO(picture.content)) as image:
                    assert image.size == (512, 512)
                    assert not image.info
                job, report = await report_of(studio, done["jobId"])
                assert job["model"] == PAINTER
                assert job["metrics"]["sandbox"]["network_namespace"] is False
                engines.append(report["engine"])
                doubtful.append("painter_unavailable" in codes(report))
            assert engines == ["server", "styles", "server"]
            assert doubtful == [False, True, False]
            assert (await studio.client.get(done["originalPhotoUrl"])).status_code == 200
            erased = await studio("DELETE", f"/customers/{name}")
            assert erased.status_code == 204
            assert studio.objects() == {}
    assert len(state.requests) == 2
    assert state.requests[0]["prompt"].startswith("a knight in armour")


@pytest.mark.parametrize("engine", [PAINTER, f"{PAINTER}, avatar-studio-v1"])
async def test_without_a_painter_a_photo_falls_back_or_is_refused(
    engine: str, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    async with room(tmp_path / "data", engine, STABLE_DIFFUSION_PATH=nowhere) as studio:
        answer = await studio.send(a_customer(), prompt="a knight in armour")
        if "," in engine:
            assert answer.status_code == 202, answer.text
            done = await studio.ended_photo(answer.json())
            job, report = await report_of(studio, done["jobId"])
            assert (job["model"], job["status"]) == ("avatar-studio-v1", "SUCCEEDED")
            assert "painter_unavailable" in codes(report)
            return
        told = answer.json()
        assert (answer.status_code, told["code"]) == (422, "model_unavailable")
        assert "STABLE_DIFFUSION_PATH names a folder that is not there" in answer.text
        assert nowhere not in answer.text
        assert studio.objects() == {}
        assert (await studio.get("/customers")).json()["items"] == []


def test_the_setting_knows_its_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(_env_file=None).avatar_engine == ("avatar-studio-v1",)
    for wrong in ("dall-e", ""):
        monkeypatch.setenv("AVATAR_ENGINE", wrong)
        with pytest.raises(ValueError, match="AVATAR_ENGINE"):
            Settings(_env_file=None)
