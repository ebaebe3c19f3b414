"""A platform that was at work when it was killed, and places to copy it to."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import postgres_server
from tests.storage.s3_server import access, fresh_bucket
from tests.torture.platform import get_json, running
from usina.kernel.storage.open import open_store
from usina.kernel.storage.store import Store
from usina.settings import Settings


@dataclass(frozen=True)
class Servers:
    """An empty database and an empty bucket, and their settings."""

    environment: Mapping[str, str]

    @property
    def database(self) -> str:
        return self.environment["DATABASE_URL"]

    def settings(self, **other: Any) -> Settings:
        named = {
            "database_url": self.database,
            "storage_url": self.environment["USINA_STORAGE_URL"],
            "s3_endpoint_url": access().endpoint,
            "s3_access_key": access().access_key,
            "s3_secret_key": access().secret_key,
        }
        return Settings.model_validate({**named, **other})

    def store(self) -> Store:
        return open_store(self.environment["USINA_STORAGE_URL"], access())

    def usina(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return usina(*words, **{**self.environment, **environment})


def usina(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "usina.faces.cli.main", *words]
    ours = {**os.environ, **environment}
    return subprocess.run(command, env=ours, text=True, capture_output=True, check=False)


@pytest.fixture
def servers() -> Iterator[Servers]:
    name = asyncio.run(postgres_server().empty())
    assert access().endpoint is not None
    yield Servers(
        {
            "DATABASE_URL": postgres_server().url(name),
            "USINA_STORAGE_URL": f"s3://{fresh_bucket()}/platform",
            "S3_ENDPOINT_URL": access().endpoint or "",
            "S3_ACCESS_KEY": access().access_key,
            "S3_SECRET_KEY": access().secret_key,
        }
    )
    asyncio.run(postgres_server().drop(name))


@pytest.fixture(scope="session")
def killed_platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ended jobs with large and small artifacts, an uploaded file, and a job that was running."""
    data = tmp_path_factory.mktemp("killed") / "data"
    with running(data) as platform, platform.client() as client:
        for params in ({}, {"artifacts": 2, "artifact_bytes": 20_000}, {"fail": "invalid_input"}):
            client.post("/jobs", json={"model": "echo-v1", "params": params}).raise_for_status()
        upload = client.post("/files", files={"file": ("some.bin", os.urandom(300_000))})
        upload.raise_for_status()
        while get_json(client, "/jobs?status=QUEUED&status=RUNNING")["items"]:
            time.sleep(0.02)
        longer = {"model": "echo-v1", "params": {"seconds": 2}, "labels": {"still": "running"}}
        client.post("/jobs", json=longer).raise_for_status()
        while not get_json(client, "/jobs?status=RUNNING")["items"]:
            time.sleep(0.02)
        platform.kill()
    return data


@pytest.fixture
def source(killed_platform: Path, tmp_path: Path) -> Path:
    """A test's own copy of it."""
    return Path(shutil.copytree(killed_platform, tmp_path / "source"))
