"""Fixtures that every room's tests share."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from tests.clock import FakeClock
from tests.databases import DATABASES
from tests.old_python import old_python
from tests.postgres import postgres_server
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.unit_of_work import Database


def pytest_report_header() -> str:
    found = old_python()
    stands_in = "" if found.version.startswith("3.8.") else " stands in for Python 3.8"
    return f"oldest python: {found.version} at {found.path}{stands_in}"


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that is run in this process leads the log to where it wants for its test alone."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=sorted(DATABASES))
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Database]:
    """A fresh, migrated database of each engine."""
    async with DATABASES[request.param](tmp_path, clock) as opened:
        yield opened


@pytest.fixture
async def postgres_url() -> AsyncIterator[str]:
    """The address of a fresh, migrated database."""
    async with postgres_server().lent() as url:
        yield url


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    """For what only PostgreSQL can be asked. Its time is the server's."""
    opened = PostgresDatabase(postgres_url)
    yield opened
    await opened.close()
