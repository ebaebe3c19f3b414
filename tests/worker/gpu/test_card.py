"""GPUs through the whole platform: what a job held, which card it gets, cards that are ill."""

import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.worker.conftest import Plant, settings, until
from usina.app import Embedded, embedded
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.worker.gpu import kernel_log

HERE = Path(__file__).parent
MIB = 1024**2
SMALL, LARGE = "GPU-11111111-small", "GPU-22222222-large"


class Box:
    """A machine with two cards, by what its driver's tool says, and a platform on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = folder / "seen"
        self._state: dict[str, Any] = {
            "cards": [
                {"index": 0, "uuid": SMALL, "name": "NVIDIA T4", "total": 15360, "idle": 3}
                | {"place": "0000:18:00"},
                {"index": 1, "uuid": LARGE, "name": "NVIDIA H200", "total": 143771, "idle": 4}
                | {"place": "0000:3B:00"},
            ]
        }
        folder.mkdir()
        self.kernel_log = folder / "kmsg"
        self.kernel_log.touch()
        shutil.copy(HERE / "nvidia_smi.py", folder / "nvidia-smi").chmod(0o755)
        self.says()

    def says(self, **state: Any) -> None:
        whole = self.folder / "new.json"
        whole.write_text(json.dumps(self._state | state))
        whole.replace(self.folder / "cards.json")

    def logs(self, text: str, priority: int = 3) -> None:
        """A record of the kernel's log, as ``/dev/kmsg`` gives it."""
        with self.kernel_log.open("a") as log:
            log.write(f"{priority},9187,5140900000,-;{text}\n")

    def serve(self, running: Embedded) -> "Box":
        self.plant = Plant.of(running)
        return self

    async def submit(self, model: str = "card-v1", **params: Any) -> str:
        request = JobRequest(model, params)
        [job] = await self.plant.platform.jobs.submit(self.plant.caller, [request])
        return job.id

    async def run(self, model: str = "card-v1", **params: Any) -> Job:
        return await self.plant.end(await self.submit(model, **params))

    async def device(self, job: Job) -> str:
        assert job.status is Status.SUCCEEDED, job.error
        [made] = [artifact for artifact in job.artifacts if artifact.name == "report.json"]
        found = await self.plant.platform.artifacts.get(job.organization_id, made.id)
        parts = self.plant.platform.artifacts.read(found, 0, found.size_bytes)
        return json.loads(b"".join([bytes(part) async for part in parts]))["device"]

    async def cards(self) -> dict[str, Any]:
        [worker] = (await self.plant.platform.workers.list(None, 10)).items
        return {card["id"]: card for card in worker.cards}

    async def told_twice(self) -> bool:
        """The tool has said what processes hold, and was asked once more."""
        told = self.folder / "told"
        return told.exists() and len(told.read_text().split()) > 1

    async def until_reason(self, id_: str, begins: str | None) -> None:
        async def holds() -> bool:
            reason = (await self.cards())[id_]["reason"]
            return reason is None if begins is None else str(reason).startswith(begins)

        await until(holds)

    async def until_lacking(self, model: str, words: str) -> None:
        """The catalogue says so of the model's jobs."""
        found = self.plant.platform.registry.get(model)
        assert found is not None

        async def told() -> bool:
            return words in (await self.plant.platform.jobs.why_waiting([found])).get(model, "")

        await until(told)


@pytest_asyncio.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    made = Box(tmp_path / "driver")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    monkeypatch.setattr(kernel_log, "PLACE", made.kernel_log)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("USINA_TEST_CARDS", json.dumps({SMALL: 15360, LARGE: 143771}))
    monkeypatch.setenv("USINA_TEST_SEEN", str(made.seen))
    asked = settings(tmp_path, runners=(HERE / "runners",), slots=4, gpu_seconds=0.2)
    async with embedded(asked) as running:
        yield made.serve(running)


async def test_a_job_says_what_it_held_on_its_gpu(box: Box) -> None:
    held = await box.submit(mib=700, hold=True)

    async def seen() -> bool:
        return (await box.cards())[SMALL]["used_bytes"] == 703 * MIB

    await box.plant.follow(held, "job.running")
    await until(seen)
    await until(box.told_twice)
    box.seen.touch()
    job = await box.plant.end(held)
    assert await box.device(job) == SMALL, "the smallest that is large enough"
    assert job.peak_gpu_memory_bytes == 700 * MIB
    assert (await box.run(mib=1)).peak_memory_bytes is not None


async def test_too_little_memory_is_tried_on_a_larger_gpu_and_on_no_other(box: Box) -> None:
    job = await box.run(mib=20_000)
    assert (await box.device(job), job.attempt) == (LARGE, 2)
    job = await box.run(mib=200_000)
    assert job.status is Status.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.reason) == ("out_of_memory", "gpu")
    assert "Tried to allocate" in job.error.message
    assert (job.attempt, job.error.retryable) == (2, False)
    assert await box.device(await box.run("large-v1")) == LARGE, "as its manifest declares"


async def test_a_gpu_is_lent_again_only_once_its_memory_is_back(box: Box) -> None:
    box.says(left={SMALL: 9000, LARGE: 9000})
    first, second = await box.submit(), await box.submit()
    third = await box.submit()
    for job_id in (first, second):
        await box.device(await box.plant.end(job_id))
    assert (await box.plant.get(third)).status is Status.QUEUED
    box.says()
    await box.device(await box.plant.end(third))


async def test_an_ill_gpu_is_out_of_service_until_it_answers_again(box: Box) -> None:
    box.says(lost=[SMALL, LARGE])
    await box.until_reason(SMALL, "the driver says 'GPU is lost'")
    await box.until_reason(LARGE, "the driver says 'GPU is lost'")
    waiting = await box.submit()
    assert (await box.plant.get(waiting)).waiting_reason == "no_worker"
    box.says(lost=[SMALL])
    assert await box.device(await box.plant.end(waiting)) == LARGE
    box.says(no_driver=True)
    await box.until_reason(LARGE, "NVIDIA-SMI has failed because it couldn't communicate")
    box.says()
    await box.until_reason(SMALL, None)


async def test_a_sick_gpu_is_out_of_service_until_its_driver_calls_it_well(box: Box) -> None:
    box.says(health={LARGE: {"recovery": "Drain and Reset"}})
    await box.until_reason(LARGE, "the driver asks for this to recover it: Drain and Reset")
    waiting = await box.submit("large-v1")
    assert (await box.plant.get(waiting)).waiting_reason == "no_worker"
    await box.until_lacking(
        "large-v1", "a GPU with 18.6 GiB and the largest in service has 15.0 GiB"
    )
    box.says(health={LARGE: {"recovery": "N/A"}})
    assert await box.device(await box.plant.end(waiting)) == LARGE
    box.logs("NVRM: Xid (PCI:0000:3b:00): 79, pid=1122, name=python, GPU has fallen off the bus.")
    await box.until_reason(LARGE, "Xid 79 in the kernel's log: it has fallen off the bus (pid=1122")
    box.says(gone=[LARGE])
    assert await box.device(await box.run()) == SMALL, "the other one is lent as before"
    assert str((await box.cards())[LARGE]["reason"]).startswith("Xid 79")
    box.says()
    await box.until_reason(LARGE, None)


async def test_a_gpu_on_which_cuda_does_not_begin_twice_is_put_out_of_service(box: Box) -> None:
    box.says(lost=[LARGE])
    await box.until_reason(LARGE, "the driver")
    job = await box.run(begin="never")
    assert job.error is not None
    assert (job.error.code, job.error.reason) == ("unavailable", "gpu_failed")
    assert job.attempt == 3
