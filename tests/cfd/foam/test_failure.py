"""How a flow fails: typed, with what the program said last, with nothing left running or lying."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.cfd.foam.program import (
    BED,
    COARSEST,
    COLUMN,
    Channel,
    Listening,
    prepare,
    run,
    stand_in,
    workshop,
)
from usina.apps.cfd.foam.process import Program, Silent, members
from usina_runner import Cancelled, Failure


def failure_of(folder: Path, channel: Channel, **params: object) -> Failure:
    job = prepare(folder, COLUMN.read_bytes(), channel, mesh=COARSEST, **params)
    with pytest.raises(Failure) as raised:
        run(job)
    assert {path.name for path in folder.iterdir()} == {"job.json", "inputs", "outputs"}
    return raised.value


def test_a_solver_that_says_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = stand_in(tmp_path / "openfoam", "echo Starting time loop; exec sleep 1000")
    monkeypatch.setenv("WM_PROJECT_DIR", str(place))

    failure = failure_of(tmp_path / "job", Channel(), silence_seconds=0.5)

    assert (failure.code, failure.reason) == ("runner_failed", "solver_silent")
    assert failure.retryable is False
    assert failure.message.endswith("Starting time loop")


def test_a_solver_that_is_killed_may_be_tried_again(tmp_path: Path) -> None:
    def kill(message: dict[str, object]) -> bool:
        if message.get("name") == "velocity_m_s":
            for pid in solvers():
                os.kill(pid, signal.SIGKILL)
        return False

    failure = failure_of(tmp_path / "job", Listening(kill))

    assert (failure.reason, failure.retryable) == ("solver_killed", True)
    assert "signal 9" in failure.message


def test_a_killed_solver_goes_on_from_the_fields_that_were_kept_last(tmp_path: Path) -> None:
    def kill(message: dict[str, object]) -> bool:
        if killed.of("checkpoint"):  # at the latest that of the first velocity
            for pid in solvers():
                os.kill(pid, signal.SIGKILL)
        return False

    bed = BED.read_bytes()
    keeping = {"mesh": COARSEST, "checkpoint_seconds": 0.2, "velocity_m_s": [0.05, 0.1, 0.2]}
    killed = Listening(kill)
    with pytest.raises(Failure) as raised:
        run(prepare(tmp_path / "first", bed, killed, **keeping))
    assert raised.value.reason == "solver_killed"
    table, plot = (message["message"] for message in killed.of("log")[-2:])
    assert table.startswith("Residuals:\n iteration")
    assert plot.endswith("iteration; p pressure, x y z velocity")

    left = tmp_path / "first" / killed.of("checkpoint")[-1]["path"]
    again = Listening(lambda message: "solving" in str(message.get("stage")))
    with pytest.raises(Cancelled):
        run(prepare(tmp_path / "second", bed, again, left, **keeping))
    going = re.fullmatch(r"Going on from iteration (\d+), .*", again.of("log")[0]["message"])
    assert going is not None
    assert int(going[1]) >= 1


def solvers() -> list[int]:
    """Solvers that this process started."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [int(word) for entry in children for word in entry.read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "simpleFoam\n"]


def test_a_solution_that_diverges_is_told_as_such(tmp_path: Path) -> None:
    """A field of absurd size, put into the case when the solver is about to start."""
    field = tmp_path / "job" / "case" / "0" / "U"

    def spoil(message: dict[str, object]) -> bool:
        if "solving" in str(message.get("stage")):
            calm = field.read_text()
            field.write_text(calm.replace("internalField uniform (0 0 0.1)", _ABSURD))
            assert _ABSURD in field.read_text()
        return False

    failure = failure_of(tmp_path / "job", Listening(spoil))

    assert (failure.code, failure.reason, failure.retryable) == ("runner_failed", "diverged", False)
    assert "try a lower one" in failure.message


_ABSURD = "internalField uniform (1e160 1e170 -1e180)"


def test_a_disk_without_room_ends_a_flow_before_half_a_field_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.apps.cfd.foam.workshop.LEAST_FREE_BYTES", 1 << 60)

    failure = failure_of(tmp_path / "job", Channel())

    assert (failure.code, failure.reason, failure.retryable) == (
        "runner_failed",
        "disk_full",
        False,
    )


def test_a_mesh_that_can_not_be_made_is_told_as_such(tmp_path: Path) -> None:
    shop = workshop(tmp_path)

    with pytest.raises(Failure) as raised:
        shop.run("blockMesh", reason="mesh_failed")

    assert raised.value.reason == "mesh_failed"
    assert "controlDict" in raised.value.message


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_whoever_a_program_started_ends_with_it(tmp_path: Path, stubborn: str) -> None:
    """Groups of their own, as ranks have, and deaf to TERM."""
    script = f"{stubborn}set -m; sleep 1000 & sleep 1000 & echo ready; wait"
    heard: list[str] = []
    program = Program(
        ["sh", "-c", script], tmp_path, os.environ, tmp_path / "log", 0.5, heard.append
    )

    with pytest.raises(Silent):
        program.run()

    assert heard[-1] == "ready"
    assert members(program.pid) == []


def test_what_is_raised_meanwhile_ends_the_program(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    program = Program(["sleep", "1000"], tmp_path, os.environ, tmp_path / "log", 60, between=stop)
    began = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        program.run()

    assert members(program.pid) == []
    assert time.monotonic() - began < 30
