"""When all simulations of a sweep have ended: the job that makes its table and its plot.

The server draws nothing. The job is of the room's own model, and reads the reports of those that
succeeded; those that did not are told to it as parameters, so that none is hidden.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog

from usina.apps.cfd.simulation import store
from usina.apps.cfd.simulation.simulation import Sweep
from usina.apps.cfd.simulation.state import SimulationState, states_of
from usina.apps.cfd.simulation.sweep import stop
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Problem
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller

MODEL: Final = "sweep-table-v1"
_LIMIT: Final = 100
_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Settled(Exception):
    """Somebody else has done it, or the sweep was cancelled."""


async def settle_sweeps(platform: Platform) -> None:
    """The turn of the beat: makes the tables that are due, and stops what was cancelled."""
    for sweep in await platform.database.read(lambda tx: store.open_sweeps(tx, _LIMIT)):
        running = await platform.database.read(lambda tx, s=sweep: store.unended(tx, s.id))
        if sweep.cancelled_at is not None:
            await stop(platform, running)
        if running:
            continue
        if sweep.cancelled_at is not None:
            await platform.database.write(lambda tx, s=sweep: store.settle(tx, s.id, None))
        else:
            await _make_table(platform, sweep)


async def _make_table(platform: Platform, sweep: Sweep) -> None:
    owner = sweep.organization_id
    found = await platform.database.read(
        lambda tx: store.members(tx, [sweep.id])[sweep.id], tenant=owner
    )

    def attach(tx: Transaction, jobs: list[Job]) -> None:
        if not store.settle(tx, sweep.id, jobs[0].id):
            raise _Settled

    request = _request(sweep, await states_of(platform, found))
    try:
        await platform.jobs.submit(Caller(owner, key_id=None), [request], attach)
    except _Settled:
        return
    except Problem as problem:
        _log.warning("a sweep has no table yet", sweep=sweep.id, why=problem.code)


def _request(sweep: Sweep, members: Sequence[SimulationState]) -> JobRequest:
    reports: list[str] = []
    told: list[dict[str, Any]] = []
    for state in members:
        report = _report_of(state)
        error = state.job.error.as_json() if state.job and state.job.error else None
        told.append(
            {
                "simulation_id": state.simulation.id,
                "bed_id": state.simulation.bed_id,
                "over": dict(state.simulation.over),
                "status": state.status.value,
                "error": error or state.simulation.error,
                "report": None if report is None else len(reports),
            }
        )
        if report is not None:
            reports.append(report)
    params = {"name": sweep.name, "over": list(sweep.over), "members": told}
    return JobRequest(model=MODEL, params=params, inputs={"reports": reports} if reports else {})


def _report_of(state: SimulationState) -> str | None:
    """The artifact with the results; null where there are none that could be read."""
    if not state.told.get("results") or state.job is None:
        return None
    return next((a.id for a in state.job.artifacts if a.name == "report.json"), None)
