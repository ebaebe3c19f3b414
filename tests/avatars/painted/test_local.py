"""diffusers as the engine, real torch and a tiny pipeline: in the sandbox, and warm."""

import io
import json
import subprocess
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

import usina_runner
from tests.avatars.customers.conftest import Studio, a_customer
from tests.avatars.painted.conftest import room
from tests.avatars.painted.program import MODEL, PLAIN, PYTHON, SCRIPT, WHOLE, job
from tests.avatars.program import astronaut, photo
from tests.threed.program import Channel
from usina.apps.avatars.diffusion import local
from usina.apps.avatars.diffusion.engine import FolderPlace, NoEngine, check_engine, find_engine
from usina.apps.avatars.diffusion.folder import BadFolder, check_folder
from usina.apps.avatars.diffusion.local import LocalPainter
from usina.apps.avatars.diffusion.order import Order

pytestmark = pytest.mark.timeout(240)
inside = pytest.mark.asyncio(loop_scope="module")
SMALL = {"steps": 6, "strength": 0.5}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def painter(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Studio]:
    named = {"STABLE_DIFFUSION_PATH": str(PLAIN), "STABLE_DIFFUSION_PYTHON": str(PYTHON)}
    async with room(tmp_path_factory.mktemp("painter"), MODEL, **named) as studio:
        yield studio


async def submitted(studio: Studio, **params: Any) -> dict[str, Any]:
    small = photo(astronaut().crop((90, 0, 350, 260)))
    file = (await studio.post("/api/v1/files", files={"file": ("a.jpg", small)})).json()
    asked = SMALL | params
    return await studio.submit(model=MODEL, inputs={"photo": file["id"]}, params=asked)


async def over(studio: Studio, job_id: str) -> dict[str, Any]:
    """The job once it has ended, however long torch takes to load."""
    job: dict[str, Any] = {"finished_at": None}
    while not job["finished_at"]:
        job = (await studio.get(f"/api/v1/jobs/{job_id}?wait_seconds=10")).json()
    return job


async def pixels(studio: Studio, ended: dict[str, Any]) -> np.ndarray:
    found = {each["name"]: each["id"] for each in ended["artifacts"]}
    answer = await studio.get(f"/api/v1/artifacts/{found['avatar.png']}/content")
    with Image.open(io.BytesIO(answer.content)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


async def told(studio: Studio, ended: dict[str, Any], name: str) -> list[dict[str, Any]]:
    answer = await studio.get(f"/api/v1/jobs/{ended['id']}/events?limit=200")
    return [each["data"] for each in answer.json()["items"] if each["type"] == name]


@inside
async def test_a_customers_photo_is_painted_in_the_sandbox(painter: Studio) -> None:
    sent = await painter.sent(a_customer(), style="oil", seed="3")
    await over(painter, sent["jobId"])
    done = await painter.ended_photo(sent)
    made = (await painter.get(f"/api/v1/jobs/{done['jobId']}")).json()
    assert done["status"] == "DONE", (done, made["error"])
    assert (await painter.client.get(done["generatedPhotoUrl"])).status_code == 200
    (report,) = [each["id"] for each in made["artifacts"] if each["name"] == "report.json"]
    said = (await painter.get(f"/api/v1/artifacts/{report}/content")).json()
    assert (said["engine"], said["device"], said["numbers"]) == ("diffusers", "cpu", "float32")
    assert said["paint_size"] == 256
    assert said["face_confidence"] > 0.9
    assert "face_lost" in {warning["code"] for warning in said["warnings"]}  # it is noise
    assert str(PLAIN) not in json.dumps(said)
    log = (await painter.get(f"/api/v1/jobs/{done['jobId']}/logs")).text
    assert "Traceback" not in log


@inside
async def test_the_same_seed_makes_the_same_pixels(painter: Studio) -> None:
    one, again, other = [
        await over(painter, (await submitted(painter, **more))["id"])
        for more in ({}, {}, {"seed": 1})
    ]
    first = await pixels(painter, one)
    assert first.shape == (512, 512, 3)
    assert (first == await pixels(painter, again)).all()
    assert np.abs(first - await pixels(painter, other)).mean() > 1
    assert (
        again["metrics"]["sandbox"]["pid_namespace"] == one["metrics"]["sandbox"]["pid_namespace"]
    )


@inside
async def test_a_cancel_between_steps_ends_the_job_and_not_the_painter(painter: Studio) -> None:
    long = await submitted(painter, steps=150, strength=1.0)
    followed = painter.platform.events.follow(painter.caller.organization_id, long["id"], None)
    async for event in followed:
        if event is not None and event.type == "job.progress" and event.data["stage"] == "paint":
            break
    await painter.post(f"/api/v1/jobs/{long['id']}/cancel")
    ended = await over(painter, long["id"])
    assert ended["status"] == "CANCELLED"
    after = await over(painter, (await submitted(painter))["id"])
    assert after["status"] == "SUCCEEDED", after["error"]


def test_a_picture_that_is_left_between_steps_leaves_the_pipeline_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_STOP_SECONDS", 60.0)  # however busy the machine is
    square = np.asarray(astronaut().resize((64, 64)))
    with closing(LocalPainter(FolderPlace(PLAIN, str(PYTHON)), SCRIPT)) as painter:
        long = replace(asked("a portrait"), steps=150, strength=1.0)
        with pytest.raises(usina_runner.Cancelled):
            painter.paint(job(tmp_path / "long", b"", Channel("paint")), square, long)
        channel = Channel()
        painter.paint(job(tmp_path / "next", b"", channel), square, asked("a portrait"))
    stages = [each.get("stage") for each in channel.of("progress")]
    assert "paint" in stages
    assert "load" not in stages


def test_a_control_net_and_a_face_adapter_in_the_folder_are_used(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    astronaut().resize((128, 128)).save(picture)
    script = Path(__file__).parents[2] / "models" / "diffusers" / "probe_whole.py"
    done = subprocess.run(
        [PYTHON, script, SCRIPT, WHOLE, picture, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["facts"]["pipeline"] == "StableDiffusionControlNetImg2ImgPipeline"
    assert seen["facts"]["face_adapter"] == "face.safetensors"
    assert seen["asked"] == ["control_image", "image", "ip_adapter_image"]
    assert seen["steps"] == [1, 2, 1, 2]
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()
    assert (seen["nan"]["reason"], seen["nan"]["retryable"]) == ("picture_not_finite", False)
    assert "STABLE_DIFFUSION_DTYPE=float32" in seen["nan"]["message"]
    assert seen["memory"] == "out_of_memory"
    assert not (tmp_path / "nan.png").exists()


STUB = """
import json, os, signal, sys
say = lambda **told: print(json.dumps(told), flush=True)
say(loaded={"side": 64})
for line in sys.stdin:
    order = json.loads(line)
    if "photo" not in order:
        continue
    if order["prompt"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if order["prompt"] == "ends":
        sys.exit(7)
    say(step=1, steps=2)
    while order["prompt"] == "hangs":
        open(order["painted"] + ".hangs", "w").close()
        signal.pause()
    open(order["painted"], "wb").write(open(order["photo"], "rb").read())
    say(done=order["number"])
"""


def asked(words: str) -> Order:
    return Order(words, "", 0.5, 7.0, 2, 0, None)


def test_whatever_becomes_of_its_program_the_next_picture_is_painted(tmp_path: Path) -> None:
    script = tmp_path / "paint.py"
    script.write_text(STUB)
    with closing(LocalPainter(FolderPlace(tmp_path, str(PYTHON)), script)) as painter:
        square = np.asarray(astronaut().resize((64, 64)))
        ends = {
            "killed": ("out_of_memory", "painter_killed"),
            "ends": ("runner_failed", "painter_ended"),
        }
        for words, told in ends.items():
            with pytest.raises(usina_runner.Failure) as failed:
                painter.paint(job(tmp_path / words, b"", Channel()), square, asked(words))
            assert (failed.value.code, failed.value.reason) == told
            well = job(tmp_path / f"after {words}", b"", Channel())
            assert (painter.paint(well, square, asked("well")) == square).all()

        class Impatient(Channel):
            def cancelled(self) -> bool:
                return (tmp_path / "hangs" / "painted.png.hangs").exists()

        with pytest.raises(usina_runner.Cancelled):
            painter.paint(job(tmp_path / "hangs", b"", Impatient()), square, asked("hangs"))
        last = job(tmp_path / "last", b"", Channel())
        assert (painter.paint(last, square, asked("well")) == square).all()


def test_a_folder_is_looked_at_before_it_is_loaded(tmp_path: Path) -> None:
    check_folder(PLAIN)
    check_folder(WHOLE)
    index = {"unet": ["diffusers", "UNet2DConditionModel"], "tokenizer": ["transformers", "T"]}
    index |= {"image_encoder": [None, None], "safety_checker": ["stable_diffusion", "Checker"]}

    def fault(says: str) -> None:
        with pytest.raises(BadFolder, match=says) as bad:
            check_folder(tmp_path / "pipe")
        assert str(tmp_path) not in str(bad.value)

    fault("is not there")
    (tmp_path / "pipe").mkdir()
    fault("no model_index.json")
    (tmp_path / "pipe" / "model_index.json").write_text("{")
    fault("no JSON")
    (tmp_path / "pipe" / "model_index.json").write_text(json.dumps(index | {"_class_name": "A"}))
    fault("part 'unet'")
    (tmp_path / "pipe" / "unet").mkdir()
    (tmp_path / "pipe" / "unet" / "model.bin").write_text("pickle")
    fault(r"\.safetensors")
    weights = tmp_path / "pipe" / "unet" / "model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\n")
    fault("git lfs pull")
    weights.write_text("weights")
    fault("part 'tokenizer'")
    (tmp_path / "pipe" / "tokenizer").mkdir()
    check_folder(tmp_path / "pipe")


def test_what_is_missing_is_named_with_its_setting(tmp_path: Path) -> None:
    folder = {"STABLE_DIFFUSION_PATH": str(PLAIN)}
    for told, says in (
        ({}, "STABLE_DIFFUSION_PATH to the folder"),
        ({"STABLE_DIFFUSION_PATH": "weights"}, "whole path"),
        ({"STABLE_DIFFUSION_URL": "localhost:7860"}, "no address of a server"),
        ({"STABLE_DIFFUSION_URL": "http://a:b@host"}, "STABLE_DIFFUSION_AUTH"),
        ({"STABLE_DIFFUSION_URL": "http://host", "STABLE_DIFFUSION_AUTH": "me"}, "user:password"),
        (folder, "usina models install"),  # the platform's own Python has no torch
        (folder | {"STABLE_DIFFUSION_PYTHON": str(tmp_path / "none")}, "names no program"),
        (folder | {"STABLE_DIFFUSION_PYTHON": "/bin/false"}, "no Python that runs"),
    ):
        with pytest.raises(NoEngine, match=says) as missing:
            check_engine(find_engine(told))
        assert str(tmp_path) not in str(missing.value)
    check_engine(find_engine(folder | {"STABLE_DIFFUSION_PYTHON": str(PYTHON)}))
