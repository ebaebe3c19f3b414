"""Beds and simulations of either client."""

from pathlib import Path
from typing import Any

from tests.client.conftest import collected, done
from tests.client.fake import FakePlatform, answer, artifact, page, ranged
from usina_client import Upload

BED: dict[str, Any] = {
    "id": "b1",
    "name": "column",
    "status": "SUCCEEDED",
    "generator": "packed-bed-v1",
    "diameter_m": 0.03,
    "height_m": 0.1,
    "particle_diameter_m": 0.01,
    "particle_shape": "sphere",
    "porosity": 0.45,
    "porosity_bulk": 0.5,
    "job_id": "j1",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "seed": 7,
}
FLOW: dict[str, Any] = {
    "id": "s1",
    "bed_id": "b1",
    "solver": "bed-flow-lbm",
    "fluid": {},
    "velocity_m_s": 0.001,
    "mesh": {},
    "status": "QUEUED",
    "progress": 0,
    "results": [],
    "artifacts": [],
    "created_at": "2026-01-01T00:00:00Z",
}
SOLVING = FLOW | {
    "status": "RUNNING",
    "solving": {"velocity_m_s": 0.001, "iteration": 40, "pressure_drop_pa": 2.5},
    "residuals": {"iteration": [40], "flow": [0.25]},
    "job_id": "j2",
}
RESULT: dict[str, Any] = {
    "velocity_m_s": 0.001,
    "reynolds": 0.7,
    "pressure_drop_pa": 2.25,
    "pressure_gradient_pa_m": 22.5,
    "ergun_pa_m": 20,
    "eisfeld_schnitzlein_pa_m": 21,
    "porosity_geometry": 0.45,
    "porosity_mesh": 0.44,
    "cells": 1000,
    "gates": [{"name": "ends", "ok": False, "value": 0.2, "limit": 0.1, "message": "Odd ends."}],
}
SWEEP: dict[str, Any] = {
    "id": "w1",
    "name": "seeds",
    "solver": "bed-flow-lbm",
    "over": {"seed": [1, 2]},
    "status": "RUNNING",
    "progress": 0,
    "counts": {"QUEUED": 2},
    "simulations": [],
    "artifacts": [],
    "created_at": "2026-01-01T00:00:00Z",
}
ENDED = FLOW | {"status": "SUCCEEDED", "job_id": "j2", "results": [RESULT]}


async def test_a_bed_is_made_changed_and_deleted(platform: FakePlatform, client: Any) -> None:
    platform.on("POST /api/v1/beds", answer(BED, 201))
    platform.on("PUT /api/v1/beds/b1", answer(BED | {"name": "other"}))
    platform.on("DELETE /api/v1/beds/b1", answer(None, 204))
    bed = await done(client.beds.create("column", {"seed": 7}, idempotency_key="k"))
    assert (bed.porosity, bed.model_extra["seed"]) == (0.45, 7)
    [sent] = platform.requests("POST /api/v1/beds")
    assert (sent.json, sent.headers["idempotency-key"]) == ({"seed": 7, "name": "column"}, "k")
    assert (await done(client.beds.change(bed.id, {"name": "other"}))).name == "other"
    await done(client.beds.delete(bed.id))
    assert len(platform.requests("DELETE /api/v1/beds/b1")) == 1


async def test_files_go_in_and_come_out(
    platform: FakePlatform, client: Any, tmp_path: Path
) -> None:
    sha = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    known = {"id": "f1", "name": "a.csv", "origin": "generated", "media_type": "text/csv"}
    known |= {"size_bytes": 1, "sha256": sha, "created_at": "2026-01-01T00:00:00Z"}
    platform.on("POST /api/v1/beds/b1/upload", answer(known, 201))
    platform.on("GET /api/v1/beds/b1/files", page([known]))
    platform.on("GET /api/v1/beds/b1/files/f1", ranged(b"x"))
    await done(client.beds.upload("b1", Upload.of(b"x,y", name="a.csv")))
    [sent] = platform.requests("POST /api/v1/beds/b1/upload")
    assert sent.files == [("file", "a.csv", "text/csv", b"x,y")]
    [file] = await collected(client.beds.files("b1"))
    path = await done(client.beds.download("b1", file, tmp_path))
    assert path.read_bytes() == b"x"


async def test_a_simulation_is_watched_to_its_end(platform: FakePlatform, client: Any) -> None:
    platform.on("POST /api/v1/beds/b1/simulations", answer(FLOW, 202))
    states = (FLOW, FLOW, SOLVING, SOLVING, ENDED)
    platform.on("GET /api/v1/simulations/s1", *map(answer, states))
    flow = await done(client.beds.simulate("b1", velocity_m_s=0.001, mesh={"resolution": 8}))
    [sent] = platform.requests("POST /api/v1/beds/b1/simulations")
    assert sent.json == {"velocity_m_s": 0.001, "mesh": {"resolution": 8}}
    seen = await collected(client.simulations.watch(flow.id, every_seconds=0))
    assert [each.status for each in seen] == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert (seen[1].solving.pressure_drop_pa, seen[1].residuals["flow"]) == (2.5, [0.25])
    ended = await done(client.simulations.wait(flow.id))
    assert (ended.results[0].reynolds, ended.results[0].gates[0].ok) == (0.7, False)


async def test_a_sweep_is_asked_for_and_watched_to_its_table(
    platform: FakePlatform, client: Any
) -> None:
    table = artifact(b"x", "table.csv")
    begun = SWEEP | {"simulations": [SOLVING | {"over": {"seed": 1}, "sweep_id": "w1"}]}
    ended = SWEEP | {"status": "SUCCEEDED", "progress": 1, "artifacts": [table], "job_id": "j3"}
    platform.on("POST /api/v1/simulations/sweeps", answer(SWEEP, 202))
    platform.on("GET /api/v1/simulations/sweeps/w1", *map(answer, (SWEEP, SWEEP, begun, ended)))
    sweep = await done(client.sweeps.create({"seed": [1, 2]}, bed={"height_m": 0.1}, name="seeds"))
    [sent] = platform.requests("POST /api/v1/simulations/sweeps")
    assert sent.json == {"name": "seeds", "bed": {"height_m": 0.1}, "over": {"seed": [1, 2]}}
    assert "idempotency-key" in sent.headers
    seen = await collected(client.sweeps.watch(sweep.id, every_seconds=0))
    assert [len(each.simulations) for each in seen] == [0, 1, 0]
    assert (seen[1].simulations[0].over, seen[1].terminal) == ({"seed": 1}, False)
    assert (await done(client.sweeps.wait(sweep.id))).artifacts[0].name == "table.csv"


async def test_a_sweep_is_found_and_cancelled(platform: FakePlatform, client: Any) -> None:
    platform.on("GET /api/v1/simulations/sweeps", page([SWEEP]))
    platform.on("POST /api/v1/simulations/sweeps/w1/cancel", answer(SWEEP, 202))
    [sweep] = await collected(client.sweeps.list(limit=5))
    assert platform.requests("GET /api/v1/simulations/sweeps")[0].query == [("limit", "5")]
    assert (await done(client.sweeps.cancel(sweep.id))).counts == {"QUEUED": 2}
