"""Every setting of the platform, read from the environment or a ``.env`` file.

Unset means embedded: one process, SQLite and a folder. `docs/reference/settings.md` has a line for
each, and a test keeps the two equal.
"""

import os
import sys
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from usina.homes import Homes, named
from usina.kernel.db.address import address_of, check_address
from usina.kernel.guard.reach import Network
from usina.kernel.limits.rate import Rate
from usina.kernel.queue import QUEUES
from usina.kernel.runners.terms import Territory
from usina.kernel.storage.s3_address import S3Place

_GIB = 1024**3
AvatarEngine = Literal["avatar-studio-v1", "stable-diffusion-img2img"]


def _default_data() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "usina"


class Settings(Homes):
    model_config = SettingsConfigDict(
        env_prefix="USINA_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    data: Path = Field(default_factory=_default_data)
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    metrics_port: int | None = Field(None, ge=1, le=65_535)
    grpc_port: int = Field(50_051, ge=0, le=65_535)
    grpc_tls_certificate: Path | None = None
    grpc_tls_key: Path | None = None
    slots: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1024,
        validation_alias=named("USINA_SLOTS", "slots", "CELERY_WORKER_CONCURRENCY"),
    )
    memory_bytes: int | None = Field(None, ge=64 * 1024**2)
    gpus: str | None = None
    gpu_seconds: float = Field(30, gt=0, le=3600)
    routes: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict[str, str])
    runners: Annotated[tuple[Path, ...], NoDecode] = ()
    sandbox: Literal["auto", "full", "off"] = "auto"

    hf_token: SecretStr | None = Field(None, validation_alias=named("HF_TOKEN"))
    hf_endpoint: str | None = Field(None, validation_alias=named("HF_ENDPOINT"))
    use: Literal["commercial", "research"] = "commercial"
    territories: Annotated[tuple[Territory, ...], NoDecode] = ()
    revenue_usd: int | None = Field(None, ge=0)
    accept_terms: Annotated[tuple[str, ...], NoDecode] = ()

    postgres_server: str | None = Field(
        None, validation_alias=named("POSTGRES_SERVER", "POSTGRES_HOST")
    )
    postgres_port: int = Field(5432, ge=1, le=65_535, validation_alias=named("POSTGRES_PORT"))
    postgres_user: str = Field("postgres", validation_alias=named("POSTGRES_USER"))
    postgres_password: SecretStr | None = Field(None, validation_alias=named("POSTGRES_PASSWORD"))
    postgres_db: str = Field("usina", validation_alias=named("POSTGRES_DB"))
    database_url: str | None = Field(None, validation_alias=named("DATABASE_URL"))
    database_connections: int = Field(10, ge=1, le=1000)
    database_pooler: bool = False
    database_statement_seconds: float = Field(30, gt=0, le=3600)
    database_lock_seconds: float = Field(10, gt=0, le=600)
    redis_url: str | None = Field(None, validation_alias=named("REDIS_URL"))
    redis_host: str | None = Field(None, validation_alias=named("REDIS_HOST"))
    redis_port: int = Field(6379, ge=1, le=65_535, validation_alias=named("REDIS_PORT"))
    storage_url: str | None = None
    s3_endpoint_url: str | None = Field(
        None, validation_alias=named("S3_ENDPOINT_URL", "MINIO_ENDPOINT")
    )
    s3_public_endpoint_url: str | None = Field(
        None, validation_alias=named("S3_PUBLIC_ENDPOINT_URL", "MINIO_PUBLIC_ENDPOINT")
    )
    s3_access_key: SecretStr | None = Field(
        None, validation_alias=named("S3_ACCESS_KEY", "MINIO_ACCESS_KEY", "MINIO_ROOT_USER")
    )
    s3_secret_key: SecretStr | None = Field(
        None, validation_alias=named("S3_SECRET_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD")
    )
    s3_region: str = Field("us-east-1", validation_alias=named("S3_REGION", "MINIO_REGION"))
    minio_secure: bool = Field(False, validation_alias=named("MINIO_SECURE"))
    secret_key: SecretStr | None = Field(None, validation_alias=named("SECRET_KEY"))
    access_token_expire_minutes: float = Field(
        30, gt=0, le=24 * 60, validation_alias=named("ACCESS_TOKEN_EXPIRE_MINUTES")
    )

    session_days: float = Field(30, gt=0, le=3650)
    registration: Literal["open", "invited", "closed"] = "open"
    invitation_days: float = Field(7, gt=0, le=365)
    quota_running_jobs: int | None = Field(None, ge=1)
    quota_queued_jobs: int | None = Field(None, ge=1)
    quota_stored_bytes: int | None = Field(None, ge=1)
    rate_login: Annotated[Rate, NoDecode] = Rate(10, 60)
    rate_key: Annotated[Rate | None, NoDecode] = Rate(1_000_000, 60)
    rate_organization: Annotated[Rate | None, NoDecode] = Rate(2_000_000, 60)
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()

    first_superuser_username: str | None = Field(
        None, validation_alias=named("FIRST_SUPERUSER_USERNAME")
    )
    first_superuser_password: SecretStr | None = Field(
        None, validation_alias=named("FIRST_SUPERUSER_PASSWORD")
    )
    first_superuser_api_key: SecretStr | None = Field(
        None, validation_alias=named("FIRST_SUPERUSER_API_KEY")
    )

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = Field(
        default_factory=lambda: "console" if sys.stderr.isatty() else "json"
    )
    log_sql: bool = False

    lease_seconds: float = Field(30, gt=0, le=3600)
    heartbeat_seconds: float = Field(5, gt=0, le=600)
    retry_seconds: float = Field(1, ge=0, le=300)
    poll_seconds: float = Field(5, gt=0, le=5)
    grace_seconds: float = Field(25, ge=0, le=86_400)
    max_timeout_seconds: int = Field(604_800, ge=1)
    max_upload_bytes: int = Field(5 * _GIB, ge=1)
    max_body_bytes: int = Field(16 * 1024**2, ge=1024)
    max_image_pixels: int = Field(64_000_000, ge=1)
    max_log_bytes: int = Field(10 * 1024**2, ge=1024)
    max_artifacts: int = Field(1000, ge=1)
    max_file_bytes: int = Field(20 * _GIB, ge=1)
    max_processes: int = Field(512, ge=1)
    max_work_bytes: int = Field(100 * _GIB, ge=1024**2)
    max_work_files: int = Field(500_000, ge=100)
    max_open_files: int = Field(4096, ge=16)
    upload_seconds: int = Field(24 * 3600, ge=1, le=7 * 24 * 3600)
    link_seconds: int = Field(3600, ge=1)
    idempotency_seconds: int = Field(24 * 3600, ge=1)
    warm_idle_seconds: float = Field(300, ge=0)
    warm_jobs: int = Field(10_000, ge=1)
    warm_count: int = Field(8, ge=0)
    warm_bytes: int = Field(8 * _GIB, ge=0)
    warm_growth: float = Field(2, ge=1)
    webhook_allowed_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    webhook_timeout_seconds: float = Field(15, gt=0, le=30)
    webhook_concurrency: int = Field(64, ge=1, le=1000)
    webhook_disable_days: float = Field(5, gt=0)
    warm_ahead: Annotated[tuple[str, ...], NoDecode] = ()
    avatar_engine: Annotated[tuple[AvatarEngine, ...], NoDecode] = Field(
        ("avatar-studio-v1",), min_length=1, validation_alias=named("AVATAR_ENGINE")
    )

    retention_jobs_days: float | None = Field(None, gt=0)
    retention_events_days: float | None = Field(None, gt=0)
    retention_files_days: float | None = Field(30, gt=0)
    retention_deliveries_days: float | None = Field(30, gt=0)
    retention_photos_days: float | None = Field(None, gt=0)

    @field_validator("runners", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value

    @field_validator(
        *("warm_ahead", "cors_origins", "trusted_proxies", "territories", "accept_terms"),
        "avatar_engine",
        mode="before",
    )
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator("routes", mode="before")
    @classmethod
    def _split_routes(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        return {model.strip(): queue.strip() for model, _, queue in pairs}

    @field_validator("routes")
    @classmethod
    def _lead_to_queues(cls, value: dict[str, str]) -> dict[str, str]:
        for model, queue in value.items():
            if queue not in QUEUES:
                known = ", ".join(QUEUES)
                raise ValueError(f"{model}={queue}: there is no such queue; there are {known}")
        return value

    @field_validator("rate_login", "rate_key", "rate_organization", mode="before")
    @classmethod
    def _read_rate(cls, value: object, info: ValidationInfo) -> object:
        if value == "none" and info.field_name != "rate_login":
            return None
        return Rate.of(value) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if origin != "*" and f"{parts.scheme}://{parts.netloc}" != origin:
                raise ValueError(f"{origin} is no origin, such as https://app.example.org")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network)
        return value

    @field_validator("data", mode="after")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        return None if value is None else check_address(value)

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("not the address of a Redis, like redis://host:6379/0")
        return value

    @field_validator("storage_url")
    @classmethod
    def _is_a_store(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("file:///"):
            S3Place.of(value)
        return value

    @field_validator("s3_endpoint_url", "s3_public_endpoint_url")
    @classmethod
    def _is_an_endpoint(cls, value: str | None) -> str | None:
        """Origins name a host alone; ``MINIO_SECURE`` says how it is spoken to."""
        if value is None:
            return None
        parts = urlsplit(value if "://" in value else f"http://{value}")
        plain = f"{parts.scheme}://{parts.hostname}"
        plain += f":{parts.port}" if parts.port else ""
        if parts.scheme not in {"http", "https"} or parts.geturl().rstrip("/").lower() != plain:
            raise ValueError("not the address of a server, like https://s3.example.org:9000")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError("S3_ACCESS_KEY and S3_SECRET_KEY: one is set, and the other is not")
        if self.s3_access_key is None and (self.storage_url or "").startswith("s3:"):
            raise ValueError("USINA_STORAGE_URL: a bucket needs S3_ACCESS_KEY and S3_SECRET_KEY")
        return self

    @model_validator(mode="after")
    def _certificates_come_with_their_keys(self) -> Self:
        if (self.grpc_tls_certificate is None) != (self.grpc_tls_key is None):
            raise ValueError(
                "USINA_GRPC_TLS_CERTIFICATE and USINA_GRPC_TLS_KEY: one is set, the other is not"
            )
        return self

    @model_validator(mode="after")
    def _the_database_comes_whole_or_in_pieces(self) -> Self:
        if self.database_url is None and self.postgres_server is not None:
            object.__setattr__(self, "database_url", _database_of_parts(self))
        return self

    @cached_property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def alive(self) -> timedelta:
        """How long a worker counts as there after its last heartbeat."""
        return max(self.lease, timedelta(seconds=3 * self.heartbeat_seconds))

    @property
    def grpc_port_asked(self) -> int:
        """Who asks for any free port gets one for gRPC too, unless that is told."""
        any_port = self.port == 0 and "grpc_port" not in self.model_fields_set
        return 0 if any_port else self.grpc_port

    @property
    def added_runners(self) -> Path:
        """Where commands put runner folders that they make."""
        return self.data / "runners"

    @property
    def database_path(self) -> Path:
        """The SQLite file of the embedded platform."""
        return self.data / "usina.sqlite"


def _database_of_parts(settings: Settings) -> str:
    """``DATABASE_URL``, out of the pieces that the origins write it in."""
    assert settings.postgres_server is not None, "a server makes the address"
    secret = settings.postgres_password
    return address_of(
        settings.postgres_server,
        settings.postgres_port,
        settings.postgres_user,
        None if secret is None else secret.get_secret_value(),
        settings.postgres_db,
    )


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    return str(getattr(alias, "choices", [f"USINA_{name.upper()}"])[0])
