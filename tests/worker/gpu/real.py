"""A real GPU through the platform, torch and diffusers with random weights: ``make test-gpu``.

No test of the suite's own: it is named, on a machine that has a GPU, and fails where one is not.
``USINA_TEST_TORCH_PYTHON`` is a Python with torch and what the diffusers engine needs. Nothing is
fetched.
"""

import io
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

import usina_runner
from tests.worker.conftest import Plant, settings, until
from usina.app import embedded
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status

pytestmark = [pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="module")]
PATIENCE = 600
"""The first look of a fresh machine at torch and its kernels takes minutes."""

ROOT = Path(__file__).parents[3]
GIB = 1024**3
WEIGHTS = 2 * 4096 * 4096 * 4
PROGRAM = """
import torch
import usina_runner

def load():
    torch.manual_seed(1)
    layers = [torch.nn.Linear(4096, 4096), torch.nn.GELU(), torch.nn.Linear(4096, 4096)]
    return torch.nn.Sequential(*layers).cuda()

def main(job, model):
    torch.manual_seed(2)
    with torch.no_grad():
        given = torch.randn(job.params["rows"], 4096, device="cuda")
        made = float(model(given).square().mean())
    torch.cuda.synchronize()
    job.sleep(1.5)  # the platform looks at the card once a second
    job.report({"made": made, "device": torch.cuda.get_device_name(0)})

usina_runner.run(main, load=load)
"""
MANIFEST = """
name = "torch-{mode}"
version = "1"
task = "test"
description = "Two layers of random weights."
license = "MIT"
command = ["{{python}}", "run.py"]
mode = "{mode}"
timeout_seconds = 600
[environment]
python = "$USINA_TEST_TORCH_PYTHON"
[params.rows]
type = "integer"
description = "How many."
default = 4096
[outputs."report.json"]
kind = "report"
[resources]
memory_bytes = 17_179_869_184
gpu = 1
gpu_memory_bytes = 1_000_000_000
"""


class Card(Plant):
    """A platform on this machine, its GPUs and all."""

    async def run(self, model: str, inputs: dict[str, str] | None = None, **params: Any) -> Job:
        request = JobRequest(model, params, inputs or {})
        [queued] = await self.platform.jobs.submit(self.caller, [request])
        owner = self.caller.organization_id
        job = await self.platform.jobs.wait(owner, queued.id, PATIENCE)
        assert job.status.terminal, job
        return job

    async def report(self, job: Job) -> dict[str, Any]:
        assert job.status is Status.SUCCEEDED, job.error
        [made] = [artifact for artifact in job.artifacts if artifact.name == "report.json"]
        found = await self.platform.artifacts.get(job.organization_id, made.id)
        parts = self.platform.artifacts.read(found, 0, found.size_bytes)
        return json.loads(b"".join([bytes(part) async for part in parts]))

    async def photo(self) -> str:
        written = io.BytesIO()
        Image.linear_gradient("L").resize((512, 512)).convert("RGB").save(written, "PNG")

        async def parts() -> AsyncIterator[bytes]:
            yield written.getvalue()

        return (await self.platform.files.receive(self.caller, "photo.png", None, parts())).id

    async def cards(self) -> list[dict[str, Any]]:
        [worker] = (await self.platform.workers.list(None, 10)).items
        return [dict(card) for card in worker.cards]


@pytest.fixture(scope="module")
def python() -> Path:
    """Absolute, and not followed where it is a link, which would leave its environment."""
    named = Path(os.environ["USINA_TEST_TORCH_PYTHON"]).absolute()
    code = "import torch; print(torch.cuda.is_available(), torch.version.cuda)"
    said = subprocess.run([named, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert said.stdout.startswith("True"), f"{named} has no torch that finds a GPU: {said}"
    return named


def _tiny(python: Path, folder: Path) -> Path:
    """A pipeline of random weights."""
    make = ROOT / "tests" / "models" / "diffusers" / "tiny.py"
    subprocess.run([python, "-W", "ignore", make, folder], check=True, timeout=PATIENCE)
    return folder / "plain"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def card(tmp_path_factory: pytest.TempPathFactory, python: Path) -> AsyncIterator[Card]:
    folder = tmp_path_factory.mktemp("real")
    for mode in ("cold", "warm"):
        place = folder / "runners" / mode
        place.mkdir(parents=True)
        (place / "run.py").write_text(PROGRAM)
        (place / "runner.toml").write_text(MANIFEST.format(mode=mode))
        runner = Path(usina_runner.__file__).parent
        shutil.copytree(runner, place / "usina_runner", ignore=shutil.ignore_patterns("*.pyc"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USINA_TEST_TORCH_PYTHON", str(python))
        patch.setenv("STABLE_DIFFUSION_PYTHON", str(python))
        patch.setenv("STABLE_DIFFUSION_PATH", str(_tiny(python, folder / "tiny")))
        patch.setenv("STABLE_DIFFUSION_GPUS", "1")
        asked = settings(
            *(folder,),
            runners=(folder / "runners",),
            memory_bytes=32 * GIB,
            gpu_seconds=1,
        )
        async with embedded(asked) as running:
            owner = running.credentials.organization_id
            yield Card(running.platform, owner, running.worker)


async def test_torch_runs_cold_and_warm(card: Card) -> None:
    jobs = [await card.run(model) for model in ("torch-cold", "torch-warm", "torch-warm")]
    reports = [await card.report(job) for job in jobs]
    assert len({report["device"] for report in reports}) == 1
    assert [report["made"] for report in reports] == pytest.approx([reports[0]["made"]] * 3)
    for job in jobs:
        assert job.peak_gpu_memory_bytes is not None
        assert WEIGHTS < job.peak_gpu_memory_bytes < 16 * GIB


async def test_too_little_memory_is_known_as_such(card: Card) -> None:
    job = await card.run("torch-warm", rows=100_000_000)
    assert job.error is not None
    assert (job.error.code, job.error.reason) == ("out_of_memory", "gpu"), job.error.message


async def test_diffusers_paints_on_it(card: Card) -> None:
    job = await card.run(
        "stable-diffusion-img2img", {"photo": await card.photo()}, steps=4, paint_size=256
    )
    assert (await card.report(job))["device"].startswith("cuda")
    assert job.peak_gpu_memory_bytes


async def test_the_driver_calls_its_gpus_well_and_their_memory_comes_back(card: Card) -> None:
    for told in await card.cards():
        assert told["name"].startswith("NVIDIA"), told
        assert told["memory_bytes"] > GIB
        assert told["reason"] is None
    await card.report(await card.run("torch-cold"))

    async def well() -> bool:
        [worker] = (await card.platform.workers.list(None, 10)).items
        return worker.free.gpus == len(worker.cards)

    await until(well, 60)
