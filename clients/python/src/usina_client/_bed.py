"""Beds and simulations of the flow through them. Lengths and all else are in SI units."""

from pydantic import AwareDatetime

from usina_client._model import Answer, Artifact, JobError, JobStatus, Json


class Bed(Answer):
    """A tube with particles; its other fields are those that it was made with, in `model_extra`.

    `status` is that of its generation, null once the job was deleted.
    """

    id: str
    name: str
    status: JobStatus | None = None
    generator: str
    diameter_m: float
    height_m: float
    particle_diameter_m: float
    particle_shape: str
    porosity: float | None = None
    porosity_bulk: float | None = None
    job_id: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class BedFile(Answer):
    """A file of a bed; `origin` is generated or uploaded."""

    id: str
    name: str
    origin: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: AwareDatetime


class FlowGate(Answer):
    """Whether a figure may be believed."""

    name: str
    ok: bool
    value: float | None = None
    limit: float | str | None = None
    message: str


class FlowResult(Answer):
    """Of one velocity; what a solver tells more is in `model_extra`."""

    velocity_m_s: float
    reynolds: float
    pressure_drop_pa: float
    pressure_gradient_pa_m: float
    ergun_pa_m: float
    eisfeld_schnitzlein_pa_m: float
    porosity_geometry: float
    porosity_mesh: float
    cells: int
    gates: list[FlowGate]


class Solving(Answer):
    """What a solver is at, or was when it stopped."""

    velocity_m_s: float
    iteration: float | None = None
    pressure_drop_pa: float | None = None


class Simulation(Answer):
    """QUEUED too while it waits for its bed; `job_id` is null then. `residuals` are by field: the
    last alone while it runs, all at its end."""

    id: str
    bed_id: str
    sweep_id: str | None = None
    solver: str
    fluid: dict[str, Json]
    velocity_m_s: float | list[float] | None = None
    mesh: dict[str, Json]
    over: dict[str, Json] | None = None
    """The values that its sweep gave it, by field; null from a platform that does not tell."""
    status: JobStatus
    progress: float
    stage: str | None = None
    solving: Solving | None = None
    residuals: dict[str, list[float | None]] | None = None
    results: list[FlowResult]
    error: JobError | None = None
    artifacts: list[Artifact]
    job_id: str | None = None
    mesh_job_id: str | None = None
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None

    @property
    def terminal(self) -> bool:
        return self.status.terminal


class Sweep(Answer):
    """One simulation for each combination of the values in `over`.

    SUCCEEDED once its table and plot are there, also where a simulation failed: the table says so.
    """

    id: str
    name: str
    solver: str
    over: dict[str, list[Json]]
    status: JobStatus
    progress: float
    """The share of its simulations that have ended."""
    counts: dict[str, int]
    """Its simulations by state."""
    simulations: list[Simulation]
    error: JobError | None = None
    artifacts: list[Artifact]
    job_id: str | None = None
    """Of the table and the plot."""
    created_at: AwareDatetime
    finished_at: AwareDatetime | None = None

    @property
    def terminal(self) -> bool:
        return self.status.terminal
