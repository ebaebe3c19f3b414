"""The Python client of Usina: from files to artifacts in one call.

    from pathlib import Path
    from usina_client import Client

    with Client("http://127.0.0.1:8000", api_key) as usina:
        job = usina.jobs.run("inflate-v1", inputs={"image": Path("chair.png")})
        usina.artifacts.download(job.artifact("mesh.glb"))

`AsyncClient` has the same methods, to be awaited.
"""

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
)
from usina_client._model import (
    Artifact,
    DeclaredGate,
    Event,
    File,
    Gate,
    Health,
    Job,
    JobError,
    JobStatus,
    Json,
    Metrics,
    Model,
    Page,
    Readiness,
    Resources,
)
from usina_client._submission import Inputs, InputValue, JobRequest
from usina_client._upload import OnProgress, Source, Upload

from ._async.artifact import AsyncArtifacts
from ._async.client import AsyncClient
from ._async.file import AsyncFiles
from ._async.job import AsyncJobs
from ._async.model import AsyncModels
from ._async.pager import AsyncPager
from ._sync.artifact import Artifacts
from ._sync.client import Client
from ._sync.file import Files
from ._sync.job import Jobs
from ._sync.model import Models
from ._sync.pager import Pager

__all__ = [
    "ApiError",
    "Artifact",
    "Artifacts",
    "AsyncArtifacts",
    "AsyncClient",
    "AsyncFiles",
    "AsyncJobs",
    "AsyncModels",
    "AsyncPager",
    "AuthenticationError",
    "BadRequestError",
    "ChecksumError",
    "Client",
    "ConflictError",
    "DeclaredGate",
    "Event",
    "FieldProblem",
    "File",
    "Files",
    "Gate",
    "GoneError",
    "Health",
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
    "Metrics",
    "Model",
    "Models",
    "NotFoundError",
    "OnProgress",
    "Page",
    "Pager",
    "PermissionDeniedError",
    "ProtocolError",
    "RateLimitedError",
    "Readiness",
    "Resources",
    "ServerError",
    "Source",
    "TooLargeError",
    "TransportError",
    "TransportTimeoutError",
    "UnavailableError",
    "UnsupportedMediaError",
    "Upload",
    "UsinaError",
    "WaitTimeoutError",
    "safe_name",
]
