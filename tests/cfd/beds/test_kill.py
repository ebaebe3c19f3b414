"""What is cut off on the way of a bed, a simulation or a deletion is there, and goes on by itself.

Each place is one where nothing but the word to the caller, or to the next step, was still to come:
a request that ends there has left what a kill leaves. That the transactions before it are whole is
shown where processes are killed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.cfd.beds.conftest import GRID, V1, Lab
from usina.apps.cfd.bed import making, removal
from usina.apps.cfd.bed.removal import finish_deletions
from usina.apps.cfd.simulation import service
from usina.kernel.failpoints import ROOMS

pytestmark = pytest.mark.asyncio(loop_scope="session")


class CutOff(Exception):
    """The process is no more."""


@pytest.fixture
def dies_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    def arm(module: Any, place: str) -> None:
        assert place in ROOMS

        def reach(name: str) -> None:
            if name == place:
                monkeypatch.undo()
                raise CutOff

        monkeypatch.setattr(module, "reach", reach)

    return arm


async def test_a_bed_whose_maker_died_is_there_once(
    lab: Lab, dies_at: Callable[[Any, str], None]
) -> None:
    key = {"idempotency-key": "the-bed"}
    dies_at(making, "bed.after_commit")
    assert (await lab.post(f"{V1}/beds", json=GRID, headers=key)).status_code == 500
    again = await lab.post(f"{V1}/beds", json=GRID, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    (bed,) = (await lab.see("/beds"))["items"]
    assert bed["id"] == again.json()["id"]
    assert (await lab.ended(bed["job_id"]))["status"] == "SUCCEEDED"
    assert len((await lab.see("/jobs"))["items"]) == 1


async def test_a_simulation_that_was_only_written_begins_by_itself(
    lab: Lab, dies_at: Callable[[Any, str], None]
) -> None:
    bed = await lab.ready(particle_count=40)
    dies_at(service, "simulation.after_commit")
    path = f"{V1}/beds/{bed['id']}/simulations"
    assert (await lab.post(path, json={"solver": "flow-v1"})).status_code == 500
    (simulation,) = (await lab.see("/simulations"))["items"]
    assert (await lab.simulated(simulation))["status"] == "SUCCEEDED"
    solvers = [j for j in (await lab.see("/jobs"))["items"] if j["model"] == "flow-v1"]
    assert len(solvers) == 1


@pytest.mark.parametrize("place", ["bed.after_mark", "bed.after_objects"])
async def test_a_deletion_that_was_begun_is_ended(
    lab: Lab, dies_at: Callable[[Any, str], None], place: str
) -> None:
    bed = await lab.ready(particle_count=41)
    await lab.simulated(await lab.simulation(bed))
    await lab.send(bed, "shape.stl", b"\0" * 80 + b"\1\0\0\0" + b"\0" * 50)
    dies_at(removal, place)
    path = f"{V1}/beds/{bed['id']}"
    assert (await lab("DELETE", path)).status_code == 500
    assert (await lab.get(path)).status_code == 404
    if place == "bed.after_objects":
        assert lab.objects() == []
    assert (await lab.see("/simulations"))["items"] == []

    await asyncio.gather(finish_deletions(lab.platform), finish_deletions(lab.platform))
    assert lab.objects() == []
    assert (await lab.see("/jobs"))["items"] == []
    assert (await lab("DELETE", path)).status_code == 404
