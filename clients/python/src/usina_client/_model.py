"""What the platform answers. Unknown keys are kept in `model_extra`, so newer servers fit."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Generic, Literal, TypeAlias, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue
from typing_extensions import TypeAliasType

Json = TypeAliasType(
    "Json", "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
)
"""Anything that can be sent as JSON."""

CatchUp: TypeAlias = Literal["skip", "one", "all"]

Item = TypeVar("Item")

TERMINAL_EVENTS = frozenset({"job.succeeded", "job.failed", "job.cancelled"})


class Answer(BaseModel):
    """Base of all answers: frozen, tolerant to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Page(Answer, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None


class Health(Answer):
    status: str
    version: str


class Readiness(Answer):
    """`checks` names each dependency: "ok", or why it is not."""

    status: str
    checks: dict[str, JsonValue] = {}

    @property
    def ready(self) -> bool:
        return self.status == "ok"


class File(Answer):
    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: AwareDatetime


class UploadTicket(Answer):
    """Where and how to send the bytes of a file to be; its id is the file's."""

    id: str
    upload_url: str
    method: str
    headers: Mapping[str, str]
    expires_at: AwareDatetime


class Resources(Answer):
    memory_bytes: int
    slots: int
    gpu: int = 0
    gpu_memory_bytes: int = 0
    cpu: bool = True


class Terms(Answer):
    """What a model's licence says beyond its name."""

    url: str | None = None
    commercial: bool = True
    revenue_limit_usd: int | None = None
    excluded_territories: list[str] = []
    gated: bool = False
    notice: str | None = None


class Weights(Answer):
    """One file of a model's weights."""

    name: str
    source: str
    file: str = ""
    sha256: str | None = None
    bytes: int | None = None
    setting: str | None = None


class DeclaredGate(Answer):
    """What a model holds its results to."""

    name: str
    limit: str
    message: str


class Model(Answer):
    """One entry of the catalogue; the schemas are JSON Schema."""

    name: str
    version: str
    task: str
    description: str
    license: str
    input_schema: dict[str, JsonValue]
    params_schema: dict[str, JsonValue]
    default_params: dict[str, JsonValue] = {}
    resources: Resources
    timeout_seconds: float
    terms: Terms | None = None
    weights: list[Weights] = []
    installable: bool = False
    gates: list[DeclaredGate] = []
    available: bool
    unavailable_reason: str | None = None
    waits_because: str | None = None


class JobStatus(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobError(Answer):
    """Why a job failed or was cancelled; `reason` refines `code`."""

    code: str
    reason: str | None = None
    message: str
    retryable: bool = False

    def __str__(self) -> str:
        code = f"{self.code} ({self.reason})" if self.reason else self.code
        return f"{code}: {self.message}"


class Artifact(Answer):
    """A result of a job; `url` is relative to the platform, signed, good for an hour."""

    id: str
    kind: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str | None = None


class Gate(Answer):
    """A gate once the run is over; `ok` is null where it could not be checked."""

    name: str
    ok: bool | None = None
    value: float | int | str | None = None
    limit: str
    message: str


class Metrics(Answer):
    queued_seconds: float | None = None
    run_seconds: float | None = None
    peak_memory_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    told: dict[str, float | int | str] = {}
    """What the program tells while it runs, each name as it was told last."""


class Job(Answer):
    id: str
    model: str
    model_version: str
    status: JobStatus
    progress: float
    stage: str | None = None
    params: dict[str, JsonValue]
    inputs: dict[str, str | list[str]]
    priority: int
    attempt: int
    max_attempts: int
    labels: dict[str, str]
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    queue_position: int | None = None
    waiting_reason: str | None = None
    cancel_requested_at: AwareDatetime | None = None
    error: JobError | None = None
    artifacts: list[Artifact] = []
    strict: bool = False
    reuse: bool = False
    reused_from: str | None = None
    gates: list[Gate] = []
    metrics: Metrics = Metrics()

    @property
    def terminal(self) -> bool:
        """Whether it has ended (until somebody reopens it by a retry)."""
        return self.status.terminal

    @property
    def succeeded(self) -> bool:
        return self.status is JobStatus.SUCCEEDED

    def artifact(self, name: str) -> Artifact:
        """The artifact of that name; KeyError names those that are there."""
        for artifact in self.artifacts:
            if artifact.name == name:
                return artifact
        present = ", ".join(artifact.name for artifact in self.artifacts) or "none"
        raise KeyError(f"job {self.id} has no artifact {name!r}; it has: {present}")


class Layer(Answer):
    """A layer of a worker's sandbox; `reason` says why it is not on."""

    on: bool
    reason: str | None = None


class Room(Answer):
    """What jobs take of a worker, or what of it none has."""

    slots: int
    memory_bytes: int = 0
    gpus: int = 0


class Worker(Answer):
    """A worker that was heard of lately; `free` is what no job has."""

    id: str
    name: str
    slots: int
    memory_bytes: int = 0
    gpus: int = 0
    free: Room
    queues: list[str] = []
    models: list[str] = []
    warm_models: list[str] = []
    draining: bool = False
    started_at: AwareDatetime
    seen_at: AwareDatetime
    sandbox: dict[str, Layer] = {}

    @property
    def busy_slots(self) -> int:
        """Those of the jobs that it holds."""
        return self.slots - self.free.slots


class Throughput(Answer):
    """Jobs that succeeded or failed, over the window that ends now."""

    jobs_per_minute: float
    window_seconds: float


class WarmModel(Answer):
    """A model whose program waits loaded on these workers."""

    model: str
    workers: list[str]


class QueueResources(Answer):
    """Of the living workers that take from the queue."""

    workers: int
    slots: int
    busy_slots: int


class Queue(Answer):
    name: str
    paused: bool
    depth: int
    running: int
    oldest_wait_seconds: float | None = None
    throughput: Throughput
    warm_models: list[WarmModel] = []
    resources: QueueResources


class ScheduledJob(Answer):
    """What a schedule submits."""

    model: str
    params: dict[str, JsonValue] = {}
    inputs: dict[str, str | list[str]] = {}
    priority: int = 0
    max_attempts: int = 3
    timeout_seconds: float | None = None
    labels: dict[str, str] = {}
    strict: bool = False
    reuse: bool = False
    callback_url: str | None = None


class Schedule(Answer):
    """`next_at` is null while it is not enabled; `last_error` says why the last moment made no
    job."""

    id: str
    name: str
    cron: str | None = None
    every_seconds: int | None = None
    timezone: str
    job: ScheduledJob
    catch_up: CatchUp
    enabled: bool
    created_at: AwareDatetime
    next_at: AwareDatetime | None = None
    last_job_id: str | None = None
    last_error: str | None = None


class Event(Answer):
    """One line of the log. A hint (a finer progress step of a live stream) has no `seq`."""

    id: str | None = None
    job_id: str | None = None
    seq: int | None = None
    type: str
    at: AwareDatetime | None = None
    data: dict[str, JsonValue] = {}

    @property
    def terminal(self) -> bool:
        return self.type in TERMINAL_EVENTS


class LogText(Answer):
    """A piece of a job's log as the live stream carries it."""

    text: str
