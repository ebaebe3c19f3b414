"""A site for each test that troubles it, and one that is lent to those that do not."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.distributed.part import Part
from tests.distributed.site import Site, User, site
from tests.redis_server import RedisServer, running_redis


@pytest.fixture
def redis() -> Generator[RedisServer]:
    """A Redis that the test may do anything to."""
    with running_redis() as server:
        yield server


@pytest.fixture
def empty(tmp_path: Path, redis: RedisServer) -> Generator[Site]:
    """A site without a process."""
    with site(tmp_path, redis.url) as made:
        yield made


class Works:
    """An API, a worker and a beat at work, and somebody who submits."""

    def __init__(self, at: Site) -> None:
        self.site = at
        started = at.api(), at.worker(), at.beat()
        self.api, self.worker, self.beat = (part.ready() for part in started)
        self.user: User = at.user(self.api)

    def restarted(self, part: Part) -> None:
        assert part.stop() == 0


@pytest.fixture
def works(empty: Site) -> Works:
    return Works(empty)
