"""What a worker has to lend: memory and GPUs, told or found, and each GPU to one job at a time."""

import json
import os
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import Plant, settings
from usina.app import embedded
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.worker.machine import this_machine

RUNNERS = (Path(__file__).parent / "runners",)


async def _report(plant: Plant, job_id: str) -> dict[str, Any]:
    job = await plant.end(job_id)
    assert job.status is Status.SUCCEEDED, job.error
    [made] = [artifact for artifact in job.artifacts if artifact.name == "report.json"]
    found = await plant.platform.artifacts.get(job.organization_id, made.id)
    parts = plant.platform.artifacts.read(found, 0, found.size_bytes)
    return json.loads(b"".join([bytes(part) async for part in parts]))


async def test_each_gpu_is_lent_to_one_job_at_a_time(tmp_path: Path) -> None:
    asked = settings(tmp_path, runners=RUNNERS, slots=4, gpus="left,right")
    async with embedded(asked) as running:
        plant = Plant.of(running)
        six = [JobRequest("device-v1")] * 6
        made = await plant.platform.jobs.submit(plant.caller, six)
        assert {job.queue for job in made} == {"gpu"}
        told = [await _report(plant, job.id) for job in made]
    assert {one["devices"] for one in told} == {"left", "right"}
    for one, other in combinations(told, 2):
        apart = one["ended"] <= other["began"] or other["ended"] <= one["began"]
        assert apart or one["devices"] != other["devices"]
    assert len({one["program"] for one in told}) == 2, "a program that waits loaded keeps its GPU"


async def test_a_job_that_needs_a_gpu_waits_for_a_worker_that_has_one(tmp_path: Path) -> None:
    async with embedded(settings(tmp_path, runners=RUNNERS, gpus="0")) as running:
        plant = Plant.of(running)
        request = JobRequest("device-v1")
        [job] = await plant.platform.jobs.submit(plant.caller, [request])
        assert job.waiting_reason == "no_worker"
        found = await plant.get(job.id)
        assert (found.status, found.waiting_reason) == (Status.QUEUED, "no_worker")


async def test_jobs_run_beside_each_other_as_far_as_their_memory_goes(tmp_path: Path) -> None:
    asked = settings(tmp_path, slots=4, memory_bytes=600 * 1024**2)
    async with embedded(asked) as running:
        plant = Plant.of(running)
        made = await plant.submit(3, seconds=600)
        for job_id in made[:2]:
            await plant.follow(job_id, "job.running")
        await plant.platform.jobs.cancel(plant.caller.organization_id, made[0])
        await plant.follow(made[2], "job.running")
        await plant.end(made[0])  # its room is free once its program has ended, a little earlier
        assert await plant.count(Status.RUNNING) == 2


@pytest.mark.parametrize(
    ("told", "visible", "found"),
    [
        ("2", "", ("0", "1")),
        ("1", "GPU-a,GPU-b", ("GPU-a",)),
        ("0", "GPU-a", ()),
        ("3,", "", ("3",)),
        ("GPU-c, MIG-d", "GPU-a", ("GPU-c", "MIG-d")),
        (None, "GPU-a,1", ("GPU-a", "1")),
        (None, "-1", ()),
        (None, "", ()),
    ],
)
def test_gpus_are_told_by_number_or_by_name_and_otherwise_found(
    monkeypatch: pytest.MonkeyPatch, told: str | None, visible: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert this_machine(1, 1, told).gpus == found


def test_gpus_are_found_by_the_drivers_tool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert this_machine(1, 1, None).gpus == ()
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho GPU-a\necho GPU-b\n")
    tool.chmod(0o755)
    assert this_machine(1, 1, None).gpus == ("GPU-a", "GPU-b")
    lost = "Unable to determine the device handle for GPU1: 0000:04:00.0: Unknown Error"
    tool.write_text(f"#!/bin/sh\necho {lost!r}\necho GPU-a\nexit 15\n")
    assert this_machine(1, 1, None).gpus == ("GPU-a",), "one that is lost hides no other"
    tool.write_text("#!/bin/sh\necho no driver\nexit 9\n")
    assert this_machine(1, 1, None).gpus == ()


def test_some_of_the_memory_is_left_to_the_platform() -> None:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < this_machine(1, None, "0").memory_bytes <= whole * 7 // 8 or whole > 8 * 1024**3
    assert this_machine(1, 12345, "0").memory_bytes == 12345
