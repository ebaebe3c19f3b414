"""Jobs of models behind real Cog servers: files both ways, words, cancels, failures."""

import asyncio
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.cog.conftest import CogPlant
from tests.cog.server import CogServer
from tests.worker.conftest import until
from usina.apps.cog.folder import Wish, add
from usina.kernel.jobs.state import Status

pytestmark = pytest.mark.asyncio(loop_scope="session")
PNG = b"\x89PNG\r\n\x1a\n" + b"any picture " * 200_000
AGES = ("old-v1", "new-v1")


async def test_what_the_server_says_is_what_the_catalogue_shows(cog: CogPlant) -> None:
    shown = [cog.platform.registry.get(name) for name in AGES]
    for model in shown:
        assert model is not None
        assert model.available, model.unavailable_reason
        assert model.input_schema["required"] == ["image"]
        assert set(model.input_schema["properties"]) == {"image", "mask"}
        steps = model.params_schema["properties"]["steps"]
        told = {"type": "integer", "minimum": 1, "maximum": 500, "default": 2}
        assert told.items() <= steps.items()
        assert model.params_schema["properties"]["style"]["enum"] == ["plain", "loud"]
        assert model.default_params["scale"] == 1.5
    assert len({model.version for model in shown if model}) == 1, "of one schema, one version"


@pytest.mark.parametrize("name", AGES)
async def test_files_go_there_and_come_back_as_artifacts(cog: CogPlant, name: str) -> None:
    image = await cog.file(PNG)
    job = await cog.end(await cog.ask(name, {"image": image}, steps=3))
    report = await cog.report(job)
    assert report["output"] == ["output-1.png", "output-2.png"]
    assert report["cog"]["predict_time"] > 0
    for made in ("output-1.png", "output-2.png"):
        assert zlib.crc32(await cog.bytes_of(job, made)) == zlib.crc32(PNG)
    kinds = {artifact.name: (artifact.kind, artifact.media_type) for artifact in job.artifacts}
    assert kinds["output-1.png"] == ("image", "image/png")
    assert b"3/3" in await cog.bytes_of(job, "log.txt")
    assert job.peak_memory_bytes is not None


@pytest.mark.parametrize("name", ["words-v1", *AGES])
async def test_the_bar_of_the_log_is_progress_while_it_runs(
    cog: CogPlant, tmp_path: Path, name: str
) -> None:
    """Also of an old server with files, whose request stays open meanwhile."""
    seen = tmp_path / "seen"
    inputs = {} if name == "words-v1" else {"image": await cog.file(PNG)}
    long = {"words": "a b c d"} if name == "words-v1" else {"steps": 4}
    job_id = await cog.ask(name, inputs, until=str(seen), **long)

    async def halfway() -> bool:
        return any(0.4 < step["progress"] < 0.5 for step in await cog.told(job_id))

    await until(halfway, 60)
    seen.touch()
    job = await cog.end(job_id)
    if name == "words-v1":
        assert await cog.bytes_of(job, "output.txt") == b"a b c d "
        assert (await cog.report(job))["output"] == "a b c d "
    assert (await cog.bytes_of(job, "log.txt")).count(b"4/4") == 1
    steps = [step["progress"] for step in await cog.told(job_id)]
    assert steps == sorted(steps)


@pytest.mark.parametrize("name", ["new-v1", "words-v1"])
async def test_a_cancel_reaches_the_server(
    cog: CogPlant, servers: dict[str, CogServer], name: str
) -> None:
    server = servers[name]
    inputs = {} if name == "words-v1" else {"image": await cog.file(PNG)}
    long = {"words": "word " * 1000} if name == "words-v1" else {"steps": 500}
    job_id = await cog.ask(name, inputs, delay=0.1, **long)

    async def health(wanted: str) -> bool:
        return await asyncio.to_thread(server.health) == wanted

    async def heard() -> bool:
        """Whether the program has the answer to its question, which it may not leave before."""
        return name == "words-v1" or any(step["progress"] for step in await cog.told(job_id))

    await until(lambda: health("BUSY"))
    await until(heard, 60)
    await cog.platform.jobs.cancel(cog.caller.organization_id, job_id)
    assert (await cog.end(job_id)).status is Status.CANCELLED
    await until(lambda: health("READY"))


async def test_jobs_of_one_server_follow_each_other(cog: CogPlant) -> None:
    made = [await cog.ask("words-v1", delay=0.1) for _ in range(3)]
    ended = [await cog.end(job_id) for job_id in made]
    assert [(job.status, job.attempt) for job in ended] == [(Status.SUCCEEDED, 1)] * 3
    stages = {step["stage"] for job_id in made for step in await cog.told(job_id)}
    assert "waiting for the server" not in stages, "one worker asks one thing at a time"


async def test_a_prediction_that_fails_says_why(cog: CogPlant) -> None:
    image = await cog.file(PNG)
    for said, code, reason in (
        ("the light is bad", "runner_failed", "prediction_failed"),
        ("CUDA out of memory. Tried to allocate 20.00 GiB.", "out_of_memory", "gpu"),
    ):
        job = await cog.end(await cog.ask("new-v1", {"image": image}, fail=said))
        assert job.error is not None
        assert (job.error.code, job.error.reason) == (code, reason)
        assert said in job.error.message


async def test_while_its_server_is_away_jobs_wait_for_it(tmp_path: Path) -> None:
    server = CogServer(tmp_path / "words", "old", "words")
    with server.running():
        await asyncio.to_thread(server.until_ready)
        add(Wish("words-v1", server.url), tmp_path / "runners")
    manifest = tmp_path / "runners" / "words-v1" / "runner.toml"
    manifest.write_text(manifest.read_text().replace("every_seconds = 10", "every_seconds = 1"))
    from tests.worker.conftest import settings
    from usina.app import embedded

    async with embedded(settings(tmp_path, runners=(tmp_path / "runners",))) as running:
        plant = CogPlant(running.platform, running.credentials.organization_id, running.worker)
        model = plant.platform.registry.get("words-v1")
        assert model is not None
        assert "No server answers at" in (model.unavailable_reason or "")
        assert model.default_params["words"] == "one two three", "what it takes is known"

        async def there() -> bool:
            now: Any = plant.platform.registry.get("words-v1")
            return now.available

        with server.running():
            await until(there, 60)
            job = await plant.end(await plant.ask("words-v1"))
            assert job.status is Status.SUCCEEDED, job.error
