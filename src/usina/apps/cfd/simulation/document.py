"""A simulation and a sweep as clients see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from usina.apps.cfd.simulation.live import residuals_so_far, solving
from usina.apps.cfd.simulation.simulation import Sweep
from usina.apps.cfd.simulation.state import SimulationState
from usina.http_kit.job import ArtifactDocument, JobErrorDocument, Link, artifact_document
from usina.kernel.clock import rfc3339
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status


class GateDocument(BaseModel):
    name: str
    ok: bool
    value: float | None
    limit: float | str | None
    message: str


class ResultDocument(BaseModel):
    """Of one velocity; what the solver tells more is shown too."""

    velocity_m_s: float
    reynolds: float
    pressure_drop_pa: float
    pressure_gradient_pa_m: float = Field(description="The slope over the core of the bed.")
    ergun_pa_m: float
    eisfeld_schnitzlein_pa_m: float
    porosity_geometry: float
    porosity_mesh: float
    cells: int
    gates: list[GateDocument]


class SolvingDocument(BaseModel):
    """At most a second old."""

    velocity_m_s: float
    iteration: float | None
    pressure_drop_pa: float | None = Field(description="As it stands, not yet as it will be.")


class SimulationDocument(BaseModel):
    """A simulation; all keys are always there."""

    id: str
    bed_id: str
    sweep_id: str | None
    solver: str
    fluid: dict[str, Any]
    velocity_m_s: float | list[float]
    mesh: dict[str, Any] = Field(description="With the solver's defaults.")
    over: dict[str, Any] = Field(description="The values that its sweep has chosen for it.")
    status: Status = Field(description="As its job's; QUEUED too while it waits for bed or mesh.")
    progress: float
    stage: str | None
    solving: SolvingDocument | None = Field(
        description="What the solver is at, or was when it stopped; null before and at its end."
    )
    residuals: dict[str, list[float | None]] | None = Field(
        description="By field, with the `iteration` of each: the last one alone while it runs, at "
        "its end those of the report. Null where the solver has told none."
    )
    results: list[ResultDocument] = Field(description="Empty before its end.")
    error: JobErrorDocument | None
    artifacts: list[ArtifactDocument]
    job_id: str | None = Field(description="Null while it waits for its bed or its mesh.")
    mesh_job_id: str | None = Field(
        description="The job that makes the mesh it waits for, or made that which it was given."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def simulation_document(state: SimulationState, link: Link) -> dict[str, Any]:
    """The simulation (:class:`SimulationDocument`)."""
    simulation, job = state.simulation, state.job
    results: Any = state.told.get("results")
    error = job.error.as_json() if job and job.error else simulation.error
    ended = job.finished_at if job else simulation.ended_at
    return {
        "id": simulation.id,
        "bed_id": simulation.bed_id,
        "sweep_id": simulation.sweep_id,
        "solver": simulation.solver,
        "fluid": simulation.params.get("fluid", {}),
        "velocity_m_s": simulation.params.get("velocity_m_s"),
        "mesh": simulation.params.get("mesh", {}),
        "over": dict(simulation.over),
        "status": state.status.value,
        "progress": job.progress if job else 0.0,
        "stage": job.stage if job else _waiting_for(state),
        "solving": solving(job) if job else None,
        "residuals": state.told.get("residuals") or (residuals_so_far(job) if job else None),
        "results": results if isinstance(results, list) else [],
        "error": error,
        "artifacts": _artifacts(job, link),
        "job_id": simulation.job_id,
        "mesh_job_id": simulation.mesh_job_id,
        "created_at": rfc3339(simulation.created_at),
        "started_at": _moment(job.started_at if job else None),
        "finished_at": _moment(ended),
    }


def _waiting_for(state: SimulationState) -> str | None:
    waits = state.status is Status.QUEUED and state.simulation.mesh_job_id is not None
    return "waiting for its mesh" if waits else None


class SweepDocument(BaseModel):
    """A sweep; all keys are always there."""

    id: str
    name: str
    solver: str
    over: dict[str, list[Any]]
    status: Status = Field(description="SUCCEEDED once its table and plot are there.")
    progress: float = Field(description="The share of its simulations that have ended.")
    counts: dict[str, int] = Field(description="Its simulations by state.")
    simulations: list[SimulationDocument]
    error: JobErrorDocument | None
    artifacts: list[ArtifactDocument] = Field(description="`table.csv`, `table.json`, `plot.png`.")
    job_id: str | None = Field(description="Of the table and the plot.")
    created_at: datetime
    finished_at: datetime | None


def sweep_document(
    sweep: Sweep, job: Job | None, members: Sequence[SimulationState], link: Link
) -> dict[str, Any]:
    """The sweep (:class:`SweepDocument`)."""
    ended = sum(state.status.terminal for state in members)
    return {
        "id": sweep.id,
        "name": sweep.name,
        "solver": sweep.solver,
        "over": dict(sweep.over),
        "status": sweep_status(sweep, job, members).value,
        "progress": ended / len(members) if members else 1.0,
        "counts": {
            status.value: sum(state.status is status for state in members) for status in Status
        },
        "simulations": [simulation_document(state, link) for state in members],
        "error": job.error.as_json() if job and job.error else None,
        "artifacts": _artifacts(job, link),
        "job_id": sweep.job_id,
        "created_at": rfc3339(sweep.created_at),
        "finished_at": _moment(job.finished_at if job else sweep.cancelled_at),
    }


def sweep_status(sweep: Sweep, job: Job | None, members: Sequence[SimulationState]) -> Status:
    """Of the whole: a failed simulation is told in the table, and fails no sweep."""
    if sweep.cancelled_at is not None:
        return Status.CANCELLED
    if job is not None and job.status.terminal:
        return job.status
    begun = any(state.status is not Status.QUEUED for state in members)
    return Status.RUNNING if begun else Status.QUEUED


def _artifacts(job: Job | None, link: Link) -> list[dict[str, Any]]:
    return [artifact_document(artifact, link) for artifact in (job.artifacts if job else ())]


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
