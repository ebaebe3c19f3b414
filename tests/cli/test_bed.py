"""`usina beds`."""

from pathlib import Path

from tests.cli.conftest import Usina
from tests.client.fake import FakePlatform, answer, page, problem
from tests.client.test_bed import BED, ENDED, FLOW, SOLVING


def test_a_bed_of_options_and_of_a_file(platform: FakePlatform, usina: Usina) -> None:
    platform.on("POST /api/v1/beds", answer(BED, 201))
    done = usina("beds", "create", "column", "-p", "seed=7", "-p", "packing.friction=0.4")
    assert (done.code, done.out) == (0, "b1\n")
    [sent] = platform.requests("POST /api/v1/beds")
    assert sent.json == {"name": "column", "seed": 7, "packing": {"friction": 0.4}}

    Path("a.bed").write_text("bed { }")
    platform.on("POST /api/v1/beds/b1/upload", problem(422, "bed_syntax", "Line 1."))
    platform.on("DELETE /api/v1/beds/b1", answer(None, 204))
    refused = usina("beds", "create", "column", "a.bed")
    assert (refused.code, refused.out) == (1, "")
    assert "Line 1." in refused.err
    assert len(platform.requests("DELETE /api/v1/beds/b1")) == 1


def test_beds_are_listed_and_shown(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/beds", page([BED]))
    platform.on("GET /api/v1/beds/b1", answer(BED))
    platform.on("GET /api/v1/simulations", page([FLOW]))
    assert usina("beds", "list").out == "b1\tcolumn\tSUCCEEDED\t0.45\n"
    shown = usina("beds", "show", "b1").out
    assert "0.03 m wide" in shown
    assert "s1\tbed-flow-lbm\tQUEUED" in shown
    assert usina("beds", "show", "b1", "--json").json["simulations"][0]["id"] == "s1"


def test_a_simulation_from_its_start_to_its_figures(platform: FakePlatform, usina: Usina) -> None:
    platform.on("POST /api/v1/beds/b1/simulations", answer(FLOW, 202))
    asked = usina("beds", "simulate", "b1", "--velocity", "0.001", "-p", "mesh.resolution=8")
    assert asked.out == "s1\n"
    [sent] = platform.requests("POST /api/v1/beds/b1/simulations")
    assert sent.json == {"velocity_m_s": 0.001, "mesh": {"resolution": 8}}
    wrong = usina("beds", "simulate", "b1", "-p", "speed=8")
    assert (wrong.code, "speed is none of" in wrong.err) == (2, True)

    platform.on("GET /api/v1/simulations/s1", answer(SOLVING), answer(SOLVING), answer(ENDED))
    watched = usina("beds", "watch", "s1")
    assert watched.out == "0.001 m/s\t0.7\t2.25 Pa\t22.5 Pa/m\tends\n"
    assert "2.5 Pa so far" in watched.err
    error = {"code": "runner_failed", "reason": "diverged", "message": "It blew up."}
    failed = FLOW | {"status": "FAILED", "error": error | {"retryable": False}}
    platform.on("GET /api/v1/simulations/s1", answer(failed))
    ended = usina("beds", "watch", "s1")
    assert (ended.code, ended.out, "It blew up." in ended.err) == (3, "", True)
