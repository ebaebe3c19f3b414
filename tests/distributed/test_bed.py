"""Every process killed on the way of a bed and its simulation, which both end as they should."""

from pathlib import Path

from tests.distributed.part import until
from tests.distributed.site import SUCCEEDED_ONCE, Site
from tests.http import __file__ as http

RUNNERS = Path(http).parent / "runners"


def test_a_bed_and_its_simulation_outlive_every_process(empty: Site) -> None:
    """First attempts of this bed and at this velocity do not end by themselves."""
    empty.environment |= {
        "USINA_RUNNERS": str(RUNNERS),
        "USINA_LEASE_SECONDS": "2",
        "USINA_HEARTBEAT_SECONDS": "0.5",
    }
    parts = [part.ready() for part in (empty.api(), empty.worker(), empty.beat())]
    user = empty.user(parts[0])
    made = user.post("/beds", {"name": "b", "generator": "spheres-v1", "seed": 7})
    bed = made.raise_for_status().json()
    wanted = {"solver": "flow-v1", "velocity_m_s": [88, 0.1]}
    waits = user.post(f"/beds/{bed['id']}/simulations", wanted).raise_for_status().json()
    user.running(bed["job_id"])
    for part in parts:
        part.kill()

    parts = [part.ready() for part in (empty.api(), empty.worker(), empty.beat())]
    user = user.at(parts[0])
    path = f"/simulations/{waits['id']}"
    assert user.outcome(bed["job_id"]) == SUCCEEDED_ONCE
    until(lambda: user.get(path)["status"] == "RUNNING", 60)
    for part in parts:
        part.kill()

    parts = [part.ready() for part in (empty.api(), empty.worker(), empty.beat())]
    user = user.at(parts[0])
    until(lambda: user.get(path)["finished_at"], 60)
    done = user.get(path)
    assert (done["status"], done["error"], done["solving"]) == ("SUCCEEDED", None, None)
    assert [row["velocity_m_s"] for row in done["results"]] == [88, 0.1]
    assert user.outcome(done["job_id"]) == SUCCEEDED_ONCE
    jobs = user.get("/jobs")["items"]
    assert [(job["model"], job["attempt"]) for job in jobs] == [("flow-v1", 2), ("spheres-v1", 2)]
    assert [part.stop() for part in parts] == [0, 0, 0]
