"""The avatar room with a painter as its engine, at work in the sandbox."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.avatars.customers.conftest import Studio
from tests.http.conftest import at_work, settings_of


@asynccontextmanager
async def room(folder: Path, engine: str, **environment: str) -> AsyncGenerator[Studio]:
    """One organization's calls to a platform whose avatars are made by ``engine``."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = settings_of(folder, avatar_engine=engine, memory_bytes=16 * 1024**3)
        async with at_work(settings) as running:
            api = await running.new_organization()
            yield Studio(api.platform, api.client, api.caller, api.key)
