"""A real GPU, where there is one: torch with random weights through the platform, cold and warm."""

import json
import shutil
from pathlib import Path

import pytest

from tests.worker.conftest import Plant, settings
from tests.worker.gpu.real import why_no_gpu
from usina.app import embedded
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.state import Status

PROGRAM = """
import torch
import usina_runner

def load():
    torch.manual_seed(1)
    layers = [torch.nn.Linear(4096, 4096), torch.nn.GELU(), torch.nn.Linear(4096, 4096)]
    return torch.nn.Sequential(*layers).cuda()

def main(job, model):
    with torch.no_grad():
        given = torch.randn(job.params["rows"], 4096, device="cuda")
        made = float(model(given).square().mean())
    torch.cuda.synchronize()
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
timeout_seconds = 300
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


@pytest.mark.skipif(why_no_gpu() is not None, reason=str(why_no_gpu()))
async def test_torch_runs_cold_and_warm_and_runs_out_of_memory(tmp_path: Path) -> None:
    import usina_runner

    for mode in ("cold", "warm"):
        folder = tmp_path / "runners" / mode
        folder.mkdir(parents=True)
        (folder / "run.py").write_text(PROGRAM)
        (folder / "runner.toml").write_text(MANIFEST.format(mode=mode))
        shutil.copy(str(usina_runner.__file__), folder / "usina_runner.py")
    asked = settings(tmp_path, runners=(tmp_path / "runners",), memory_bytes=32 * 1024**3)
    async with embedded(asked) as running:
        plant = Plant.of(running)
        made = set[float]()
        for model, rows in [("torch-cold", 4096), *[("torch-warm", 4096)] * 2]:
            request = JobRequest(model, {"rows": rows})
            [queued] = await plant.platform.jobs.submit(plant.caller, [request])
            job = await plant.end(queued.id)
            assert job.status is Status.SUCCEEDED, job.error
            [report] = [one for one in job.artifacts if one.name == "report.json"]
            found = await plant.platform.artifacts.get(job.organization_id, report.id)
            parts = plant.platform.artifacts.read(found, 0, found.size_bytes)
            made.add(json.loads(b"".join([bytes(part) async for part in parts]))["made"])
        assert len(made) <= 2, "the cold one and the first warm one begin from one seed"
        [queued] = await plant.platform.jobs.submit(
            plant.caller, [JobRequest("torch-warm", {"rows": 100_000_000})]
        )
        job = await plant.end(queued.id)
        assert job.error is not None
        assert (job.error.code, job.error.reason) == ("out_of_memory", "gpu")
