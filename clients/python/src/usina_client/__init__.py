"""The Python client of Usina: from files to artifacts in one call.

    from pathlib import Path
    from usina_client import Client

    with Client("http://127.0.0.1:8000", api_key) as usina:
        job = usina.jobs.run("inflate-v1", inputs={"image": Path("chair.png")})
        usina.artifacts.download(job.artifact("mesh.glb"))

`AsyncClient` has the same methods, to be awaited.
"""

from usina_client._bed import Bed, BedFile, FlowGate, FlowResult, Simulation, Solving, Sweep
from usina_client._delivery import (
    Delivery,
    DeliveryAttempt,
    DeliveryDetail,
    DeliveryError,
    DeliveryStatus,
    Webhook,
    WebhookSecret,
)
from usina_client._download import safe_name
from usina_client._error import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ChecksumError,
    ConflictError,
    FieldProblem,
    GoneError,
    InvalidRequestError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TooLargeError,
    TransportError,
    TransportTimeoutError,
    UnavailableError,
    UnsupportedMediaError,
    UsinaError,
    WaitTimeoutError,
    WebhookVerificationError,
)
from usina_client._identity import (
    Actor,
    ApiKey,
    AuditEntry,
    CallingKey,
    Identity,
    NamedOrganization,
    NewApiKey,
    Organization,
    Quotas,
    Retention,
    Subject,
    Tokens,
    Usage,
)
from usina_client._model import (
    Artifact,
    CatchUp,
    DeclaredGate,
    Event,
    File,
    Gate,
    Health,
    Job,
    JobError,
    JobStatus,
    Json,
    Layer,
    Metrics,
    Model,
    Page,
    Queue,
    QueueResources,
    Readiness,
    Resources,
    Schedule,
    ScheduledJob,
    Throughput,
    WarmModel,
    Worker,
)
from usina_client._schedule import SchedulePlan, plan_of
from usina_client._submission import Inputs, InputValue, JobRequest
from usina_client._upload import OnProgress, Source, Upload
from usina_client._webhook import WebhookEvent, WebhookPlan, verify_webhook, webhook_plan_of

from ._async.artifact import AsyncArtifacts
from ._async.auth import AsyncApiKeys, AsyncAudit, AsyncAuth, AsyncOrganizations
from ._async.bed import AsyncBeds, AsyncSimulations
from ._async.client import AsyncClient
from ._async.file import AsyncFiles
from ._async.job import AsyncJobs
from ._async.model import AsyncModels
from ._async.pager import AsyncPager
from ._async.queue import AsyncQueues
from ._async.schedule import AsyncSchedules
from ._async.sweep import AsyncSweeps
from ._async.webhook import AsyncWebhooks
from ._async.worker import AsyncWorkers
from ._sync.artifact import Artifacts
from ._sync.auth import ApiKeys, Audit, Auth, Organizations
from ._sync.bed import Beds, Simulations
from ._sync.client import Client
from ._sync.file import Files
from ._sync.job import Jobs
from ._sync.model import Models
from ._sync.pager import Pager
from ._sync.queue import Queues
from ._sync.schedule import Schedules
from ._sync.sweep import Sweeps
from ._sync.webhook import Webhooks
from ._sync.worker import Workers

__all__ = [
    "Actor",
    "ApiError",
    "ApiKey",
    "ApiKeys",
    "Artifact",
    "Artifacts",
    "AsyncApiKeys",
    "AsyncArtifacts",
    "AsyncAudit",
    "AsyncAuth",
    "AsyncBeds",
    "AsyncClient",
    "AsyncFiles",
    "AsyncJobs",
    "AsyncModels",
    "AsyncOrganizations",
    "AsyncPager",
    "AsyncQueues",
    "AsyncSchedules",
    "AsyncSimulations",
    "AsyncSweeps",
    "AsyncWebhooks",
    "AsyncWorkers",
    "Audit",
    "AuditEntry",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "Bed",
    "BedFile",
    "Beds",
    "CallingKey",
    "CatchUp",
    "ChecksumError",
    "Client",
    "ConflictError",
    "DeclaredGate",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetail",
    "DeliveryError",
    "DeliveryStatus",
    "Event",
    "FieldProblem",
    "File",
    "Files",
    "FlowGate",
    "FlowResult",
    "Gate",
    "GoneError",
    "Health",
    "Identity",
    "InputValue",
    "Inputs",
    "InvalidRequestError",
    "Job",
    "JobError",
    "JobFailedError",
    "JobRequest",
    "JobStatus",
    "Jobs",
    "Json",
    "Layer",
    "Metrics",
    "Model",
    "Models",
    "NamedOrganization",
    "NewApiKey",
    "NotFoundError",
    "OnProgress",
    "Organization",
    "Organizations",
    "Page",
    "Pager",
    "PermissionDeniedError",
    "ProtocolError",
    "Queue",
    "QueueResources",
    "Queues",
    "Quotas",
    "RateLimitedError",
    "Readiness",
    "Resources",
    "Retention",
    "Schedule",
    "SchedulePlan",
    "ScheduledJob",
    "Schedules",
    "ServerError",
    "Simulation",
    "Simulations",
    "Solving",
    "Source",
    "Subject",
    "Sweep",
    "Sweeps",
    "Throughput",
    "Tokens",
    "TooLargeError",
    "TransportError",
    "TransportTimeoutError",
    "UnavailableError",
    "UnsupportedMediaError",
    "Upload",
    "Usage",
    "UsinaError",
    "WaitTimeoutError",
    "WarmModel",
    "Webhook",
    "WebhookEvent",
    "WebhookPlan",
    "WebhookSecret",
    "WebhookVerificationError",
    "Webhooks",
    "Worker",
    "Workers",
    "plan_of",
    "safe_name",
    "verify_webhook",
    "webhook_plan_of",
]
