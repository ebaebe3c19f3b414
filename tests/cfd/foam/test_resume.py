"""A cancel leaves a checkpoint, and a reopened job goes on from it."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cfd.foam.conftest import ended, sent
from tests.cfd.foam.program import BED, COARSE, COARSEST, COLUMN, Channel, Listening, prepare, run
from tests.http.conftest import Api
from usina_runner import Cancelled

pytestmark = pytest.mark.xdist_group("foam")

MESHED = 0.26
"""Beyond it, some iterations are done."""


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_cancelled_job_that_is_reopened_goes_on_where_it_was(api: Api) -> None:
    """Solving in parts, under the whole sandbox."""
    bed = await sent(api, BED)
    params = {"velocity_m_s": [0.1, 0.3], "mesh": COARSE}
    job = await api.submit(model="bed-flow-openfoam", inputs={"bed": bed}, params=params)
    followed = api.platform.events.follow(api.caller.organization_id, job["id"], None)
    async for event in followed:
        if event is not None and event.data.get("progress", 0) > MESHED:
            break
    await api.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert (await ended(api, job["id"]))["status"] == "CANCELLED"

    await api.post(f"/api/v1/jobs/{job['id']}/retry")
    again = await ended(api, job["id"])

    log = (await api.get(f"/api/v1/jobs/{job['id']}/logs")).text
    assert again["status"] == "SUCCEEDED", (again["error"], log)
    going = re.search(r"Going on from iteration (\d+), [01] velocities", log)
    assert going is not None, log
    assert int(going[1]) >= 1
    assert "Meshing" not in log


def cancelled(
    folder: Path, when: str, checkpoint: Path | None = None, **params: Any
) -> tuple[Path, Listening]:
    """The checkpoint that a job on one core leaves, cancelled at a stage, and what it said."""
    channel = Listening(lambda message: when in str(message.get("stage")))
    bed = COLUMN.read_bytes()
    job = prepare(folder, bed, channel, checkpoint, mesh=COARSEST, **params)
    with pytest.raises(Cancelled):
        run(job)
    kept = channel.of("checkpoint")
    return (folder / kept[-1]["path"] if kept else folder), channel


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    """Neither a mesh nor a velocity, and for the sake of pictures nothing at all."""
    velocities = [0.05, 0.1]
    first, _ = cancelled(tmp_path / "1", "velocity 2", velocity_m_s=velocities)
    second, told = cancelled(tmp_path / "2", "pictures", first, velocity_m_s=velocities)
    stages = {message["stage"] for message in told.of("progress")}
    assert stages >= {"resuming", "solving velocity 2 of 2"}
    assert not stages & {"meshing", "solving velocity 1 of 2"}

    channel = Channel()
    job = prepare(
        tmp_path / "3",
        COLUMN.read_bytes(),
        channel,
        second,
        mesh=COARSEST,
        velocity_m_s=velocities,
    )
    report = run(job)

    assert not any("solving" in message["stage"] for message in channel.of("progress"))
    assert [row["velocity_m_s"] for row in report["results"]] == velocities
    assert report["solver"].startswith("OpenFOAM v")
    iterations = report["residuals"]["iteration"]
    assert iterations == sorted(set(iterations)), "no iteration is counted twice"


@pytest.mark.parametrize("change", ["bed", "broken"])
def test_a_checkpoint_of_something_else_is_not_used(tmp_path: Path, change: str) -> None:
    left, _ = cancelled(tmp_path / "first", "velocity 1")
    bed = COLUMN.read_bytes()
    if change == "bed":
        bed = bed.replace(b"0.005,0.01\n", b"0.0050001,0.01\n")
    else:
        left.write_bytes(left.read_bytes()[:2000])
    began = Listening(lambda message: "velocity" in str(message.get("stage")))
    job = prepare(tmp_path / "second", bed, began, left, mesh=COARSEST)

    with pytest.raises(Cancelled):
        run(job)

    assert "of no use" in began.of("log")[0]["message"]
    assert "meshing" in [message["stage"] for message in began.of("progress")]
