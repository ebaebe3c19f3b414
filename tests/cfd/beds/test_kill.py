"""A platform that is killed on the way of a bed, a simulation, a deletion forgets none of them."""

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.torture.platform import Running, running

pytestmark = pytest.mark.timeout(120)
RUNNERS = {"USINA_RUNNERS": str(Path(__file__).parents[2] / "http/runners")}
BED = {"name": "killed", "generator": "spheres-v1", "particle_count": 60}
KEY = {"idempotency-key": "the-bed"}


def stored(data: Path) -> list[str]:
    kinds = ("files", "artifacts", "checkpoints")
    return [p.name for kind in kinds for p in (data / "store" / kind).rglob("*") if p.is_file()]


def rows(data: Path) -> int:
    tables = "beds", "bed_generations", "bed_files", "simulations", "jobs"
    with contextlib.closing(sqlite3.connect(data / "usina.sqlite")) as database:
        return sum(database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables)


def made(api: httpx2.Client) -> dict[str, Any]:
    """The one bed of the key, its generation ended."""
    answer = api.post("/beds", json=BED, headers=KEY)
    assert answer.status_code == 201
    assert api.get(f"/jobs/{answer.json()['job_id']}?wait_seconds=30").json()["finished_at"]
    (bed,) = api.get("/beds").json()["items"]
    assert (bed["id"], bed["status"]) == (answer.json()["id"], "SUCCEEDED")
    return bed


def killed_in(platform: Running, api: httpx2.Client, method: str, path: str, **more: Any) -> None:
    with pytest.raises(httpx2.TransportError):
        api.request(method, path, **more)
    platform.process.wait(10)


def test_a_kill_at_every_turn_of_a_bed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "bed.after_commit", **RUNNERS) as platform, platform.client() as api:
        killed_in(platform, api, "POST", "/beds", json=BED, headers=KEY)

    with running(data, "simulation.after_commit", **RUNNERS) as platform, platform.client() as api:
        bed = made(api)
        path = f"/beds/{bed['id']}/simulations"
        killed_in(platform, api, "POST", path, json={"solver": "flow-v1"})

    with running(data, "bed.after_mark", **RUNNERS) as platform, platform.client() as api:
        (simulation,) = api.get("/simulations").json()["items"]
        until = time.monotonic() + 30
        while simulation["status"] != "SUCCEEDED":  # nobody asks for it again
            assert time.monotonic() < until
            if simulation["job_id"]:
                api.get(f"/jobs/{simulation['job_id']}?wait_seconds=10")
            simulation = api.get(f"/simulations/{simulation['id']}").json()
        killed_in(platform, api, "DELETE", f"/beds/{bed['id']}")
    assert stored(data)

    with running(data, "bed.after_objects", **RUNNERS) as platform:
        platform.process.wait(30)  # the deletion goes on by itself
    assert stored(data) == []

    with running(data, **RUNNERS) as platform, platform.client() as api:
        assert api.get(f"/beds/{bed['id']}").status_code == 404
        assert api.get("/simulations").json()["items"] == []
        until = time.monotonic() + 30
        while rows(data):
            assert time.monotonic() < until
            time.sleep(0.1)
