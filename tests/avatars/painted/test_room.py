"""The avatar room's engine by setting: the painter behind it, a fallback, a clear refusal."""

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.avatars.customers.conftest import a_customer
from tests.avatars.painted.conftest import room
from tests.models.automatic1111.server import webui
from usina.settings import Settings

pytestmark = pytest.mark.timeout(300)
PAINTER = "stable-diffusion-img2img"


async def test_a_customers_photo_is_painted_by_a_server_and_erased(tmp_path: Path) -> None:
    with webui() as (state, url):
        async with room(tmp_path, PAINTER, STABLE_DIFFUSION_URL=url) as studio:
            name = a_customer()
            done = await studio.done(name, prompt="a knight in armour")
            assert done["status"] == "DONE", done
            picture = await studio.client.get(done["generatedPhotoUrl"])
            with Image.open(io.BytesIO(picture.content)) as image:
                assert image.size == (512, 512)
                assert not image.info
            assert (await studio.client.get(done["originalPhotoUrl"])).status_code == 200
            job = (await studio.get(f"/api/v1/jobs/{done['jobId']}")).json()
            assert job["model"] == PAINTER
            assert job["metrics"]["sandbox"]["network_namespace"] is False
            erased = await studio("DELETE", f"/customers/{name}")
            assert erased.status_code == 204
            assert studio.objects() == {}
    assert state.requests[0]["prompt"] == "a knight in armour"


@pytest.mark.parametrize("engine", [PAINTER, f"{PAINTER}, avatar-studio-v1"])
async def test_without_a_painter_a_photo_falls_back_or_is_refused(
    engine: str, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    async with room(tmp_path / "data", engine, STABLE_DIFFUSION_PATH=nowhere) as studio:
        answer = await studio.send(a_customer())
        if "," in engine:
            assert answer.status_code == 202
            job = await studio.ended_photo(answer.json())
            made = (await studio.get(f"/api/v1/jobs/{job['jobId']}")).json()
            assert (made["model"], made["status"]) == ("avatar-studio-v1", "SUCCEEDED")
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
