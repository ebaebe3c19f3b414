"""Fixtures that every room's tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clock import FakeClock
from tests.databases import DATABASES, prepare
from usina.kernel.db.unit_of_work import Database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=sorted(DATABASES))
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Database]:
    """A fresh, migrated database of each engine."""
    opened = DATABASES[request.param](tmp_path, clock)
    await prepare(opened)
    yield opened
    await opened.close()
