"""Starts: from nothing to the first job, and every refusal in one line."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.distributed.part import Part
from tests.distributed.site import SUCCEEDED_ONCE, Site
from tests.postgres import postgres_server
from tests.redis_server import RedisServer

SECRET = "very-secret"


def test_from_an_empty_database_to_the_first_job(empty: Site) -> None:
    name = asyncio.run(postgres_server().empty())
    empty.environment["DATABASE_URL"] = postgres_server().url(name)
    upgraded = empty.run("db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    key = "k" * 40
    seeded = empty.run(
        "seed",
        FIRST_SUPERUSER_USERNAME="owner@example.org",
        FIRST_SUPERUSER_PASSWORD="a long password",
        FIRST_SUPERUSER_API_KEY=key,
    )
    assert seeded.returncode == 0, seeded.stderr
    api, worker, beat = started(empty)
    user = empty.user_with(key, api)
    assert user.outcome(user.submit()) == SUCCEEDED_ONCE
    assert [part.stop() for part in (api, worker, beat)] == [0, 0, 0]
    assert (api.told, worker.told, beat.told) == (
        [f"ready {user.url}"],
        [f"ready {worker.word}"],
        ["ready"],
    )
    for part in (api, worker, beat):
        assert all(line.startswith("{") for line in part.log.splitlines()), part.log
        for level in ("warning", "error"):
            assert f'"level":"{level}"' not in part.log, part.log
    assert f"worker-{worker.process.pid}@{socket.gethostname()} ready" in worker.log
    asyncio.run(postgres_server().drop(name))


def started(at: Site) -> tuple[Part, Part, Part]:
    api, worker, beat = at.api(), at.worker(), at.beat()
    return api.ready(), worker.ready(), beat.ready()


def without(at: Site, variable: str) -> None:
    del at.environment[variable]


def unreachable(at: Site) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    at.environment["DATABASE_URL"] = f"postgresql://usina:{SECRET}@127.0.0.1:{port}/usina"


def no_such_user(at: Site) -> None:
    url = at.environment["DATABASE_URL"]
    at.environment["DATABASE_URL"] = url.replace("postgres@", f"nobody:{SECRET}@")


def no_such_database(at: Site) -> None:
    url = at.environment["DATABASE_URL"]
    at.environment["DATABASE_URL"] = url.replace("/test_", "/not_test_")


def not_a_postgresql(at: Site) -> None:
    at.environment["DATABASE_URL"] = f"mysql://usina:{SECRET}@host/usina"


def not_a_redis(at: Site) -> None:
    at.environment["REDIS_URL"] = f"http://:{SECRET}@host"


def old_schema(at: Site) -> None:
    name = asyncio.run(postgres_server().empty())
    at.environment["DATABASE_URL"] = postgres_server().url(name)


def no_such_bucket(at: Site) -> None:
    at.environment["USINA_STORAGE_URL"] = "s3://there-is-no-such-bucket/usina"
    at.environment["S3_SECRET_KEY"] = SECRET


REFUSALS = {
    "no database": (lambda at: without(at, "DATABASE_URL"), "Set DATABASE_URL, a PostgreSQL"),
    "no redis": (lambda at: without(at, "REDIS_URL"), "Set REDIS_URL, a Redis"),
    "no store": (lambda at: without(at, "USINA_STORAGE_URL"), "Set USINA_STORAGE_URL, a bucket"),
    "unreachable": (unreachable, "Look at DATABASE_URL and at the server"),
    "no such user": (no_such_user, 'role "nobody" does not exist'),
    "no such database": (no_such_database, "does not exist"),
    "not a postgresql": (not_a_postgresql, "DATABASE_URL: "),
    "not a redis": (not_a_redis, "REDIS_URL: "),
    "old schema": (old_schema, "run `usina db upgrade`"),
    "no such bucket": (no_such_bucket, "its bucket does not exist"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_start_that_can_not_be_is_refused_in_one_line(empty: Site, case: str) -> None:
    break_it, word = REFUSALS[case]
    break_it(empty)
    parts = [empty.api(), empty.worker()]
    if case in {"no redis", "old schema", "not a postgresql"}:  # each costs seconds
        parts += [empty.beat(), empty.celery("worker", "-P", "threads")]
    for part in parts:
        assert part.ended() == 1, part.log
        assert SECRET not in part.log
        [line] = [line for line in part.log.splitlines() if not line.startswith("{")]
        assert word in line, part.log
        assert "Error" not in line, part.log
        assert part.told == [] or part.name.startswith("celery")  # it has a banner


@pytest.mark.parametrize("case", ["no such user", "not a postgresql"])
def test_what_operators_do_is_refused_in_one_line_too(empty: Site, case: str) -> None:
    break_it, word = REFUSALS[case]
    break_it(empty)
    for command in (["db", "upgrade"], ["seed"]):
        done = empty.run(*command)
        assert done.returncode == (1 if case == "not a postgresql" else 7), done.stderr
        assert done.stdout == ""
        assert word in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert SECRET not in done.stderr


def test_redis_that_comes_late_is_waited_for_by_nobody(tmp_path: Path, empty: Site) -> None:
    """See test_redis for its absence in the midst."""
    late = RedisServer()
    empty.environment["REDIS_URL"] = late.url
    api, worker, beat = started(empty)
    user = empty.user(api)
    assert user.outcome(user.submit()) == SUCCEEDED_ONCE
    late.start()
    try:
        for part in (api, worker):
            assert part.process.poll() is None
        assert user.outcome(user.submit()) == SUCCEEDED_ONCE
    finally:
        late.stop()
    assert [part.stop() for part in (api, worker, beat)] == [0, 0, 0]


def test_a_store_of_another_platform_is_refused_and_can_be_adopted(empty: Site) -> None:
    beat = empty.beat().ready()
    assert beat.stop() == 0
    first = empty.environment["DATABASE_URL"]
    name = asyncio.run(postgres_server().fresh())
    empty.environment["DATABASE_URL"] = postgres_server().url(name)
    for part in (empty.api(), empty.worker(), empty.beat()):
        assert part.ended(60) == 1
        [line] = part.log.strip().splitlines()
        assert empty.environment["USINA_STORAGE_URL"] in line
        assert "usina admin adopt-store" in line
    adopted = empty.run("admin", "adopt-store")
    assert adopted.returncode == 0, adopted.stderr
    assert [part.stop() for part in (*started(empty),)] == [0, 0, 0]
    empty.environment["DATABASE_URL"] = first
    assert empty.beat().ended(60) == 1
    asyncio.run(postgres_server().drop(name))
