"""Jobs of one organization that are asked for together are read together, and nothing stays."""

import asyncio
import gc

import pytest

from tests.worker.conftest import Plant

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_is_kept_of_those_who_asked(plant: Plant) -> None:
    ids = await plant.submit(3)
    found = await asyncio.gather(*(plant.get(job_id) for job_id in ids * 4))
    assert [job.id for job in found] == ids * 4
    asking = asyncio.create_task(plant.get(ids[0]))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    del asking
    for job_id in ids:
        await plant.end(job_id)
    async with asyncio.timeout(10):  # an answer is given before its read has ended
        while plant.platform.jobs._lookups:
            gc.collect()  # a cancelled call's traceback
            await asyncio.sleep(0.01)
