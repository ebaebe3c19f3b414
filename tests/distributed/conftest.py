"""A site for each test that stops its parts, and one for those of a module that do not."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.distributed.site import Site, User, site
from tests.redis_server import RedisServer, running_redis


class Works:
    """An API, a worker and a beat at work, and somebody who submits."""

    def __init__(self, at: Site, redis: RedisServer) -> None:
        self.site = at
        self.redis = redis
        started = at.api(), at.worker(), at.beat()
        self.api, self.worker, self.beat = (part.ready() for part in started)
        self.user: User = at.user(self.api)


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


@pytest.fixture
def works(empty: Site, redis: RedisServer) -> Works:
    return Works(empty, redis)


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Generator[Works]:
    """Works that a module's tests share: each leaves Redis up and the parts at work."""
    with running_redis() as redis, site(tmp_path_factory.mktemp("site"), redis.url) as made:
        yield Works(made, redis)
