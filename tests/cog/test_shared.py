"""One server for the workers of several processes: it makes one prediction at a time."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cog.server import CogServer
from tests.distributed.part import until
from tests.distributed.site import SUCCEEDED_ONCE, Site, User, site
from tests.redis_server import running_redis
from usina.apps.cog.folder import Wish, add

pytestmark = pytest.mark.xdist_group("cog shared")
PNG = b"\x89PNG\r\n\x1a\n" + b"any picture " * 1000
WAITS = "waiting for the server"


class Shared:
    """Two workers that know the models of both servers, and somebody who asks."""

    def __init__(self, at: Site, servers: dict[str, CogServer]) -> None:
        self.servers = servers
        api, *workers = at.api(), at.worker(), at.worker()
        for part in (api, *workers):
            part.ready()
        self.user: User = at.user(api)
        with self.user.client() as client:
            answer = client.post("/files", files={"file": ("given.png", PNG)})
        self._file: str = answer.raise_for_status().json()["id"]

    def ask(self, model: str, tag: float, *, most: float = 60, **params: Any) -> str:
        body = {
            "model": model,
            "inputs": {"image": self._file},
            "params": {"steps": 2, "scale": tag, **params},
            "timeout_seconds": most,
        }
        answer = self.user.post("/jobs", body)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def until_stage(self, job_id: str, *stages: str) -> None:
        until(lambda: self.user.job(job_id)["stage"] in stages, 60)

    def made(self, model: str) -> list[float]:
        """The tags of all predictions that the server has made, in their order."""
        place = self.servers[model].folder / "made"
        return [float(line) for line in place.read_text().split()] if place.exists() else []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    with ExitStack() as parts:
        old = CogServer(folder / "old", "old", "picture")
        parts.enter_context(old.running())
        old.until_ready()
        new = CogServer(folder / "new", "new", "picture", old.get("/openapi.json"))
        parts.enter_context(new.running())
        new.until_ready()
        servers = {"old-v1": old, "new-v1": new}
        for name, server in servers.items():
            add(Wish(name, server.url), folder / "runners")
        redis = parts.enter_context(running_redis())
        runners = str(folder / "runners")
        made = parts.enter_context(site(folder, redis.url, USINA_RUNNERS=runners))
        yield Shared(made, servers)


@pytest.mark.parametrize("model", ["old-v1", "new-v1"])
def test_two_workers_take_turns_at_one_server(shared: Shared, tmp_path: Path, model: str) -> None:
    """Who waits is told so, may be cancelled and run out of time, and leaves nothing there."""
    user, go = shared.user, tmp_path / "go"
    before = len(shared.made(model))
    first = shared.ask(model, 1, until=str(go))
    shared.until_stage(first, "predicting")
    until(lambda: user.job(first)["progress"] > 0.4, 60)

    waiting = shared.ask(model, 2)
    shared.until_stage(waiting, WAITS)
    assert user.post(f"/jobs/{waiting}/cancel").status_code == 202
    assert user.ended(waiting)["status"] == "CANCELLED"

    late = shared.ask(model, 3, most=1)
    assert user.ended(late)["error"]["code"] == "timeout"

    last = shared.ask(model, 4)
    shared.until_stage(last, WAITS)
    assert user.job(first)["status"] == "RUNNING", "nobody disturbed it"
    go.touch()
    assert user.outcome(first) == SUCCEEDED_ONCE
    assert user.outcome(last) == SUCCEEDED_ONCE
    assert {user.job(job_id)["attempt"] for job_id in (first, last)} == {1}
    assert shared.made(model)[before:] == [1, 4], "none for the two that left"


@pytest.mark.parametrize("model", ["old-v1", "new-v1"])
def test_many_jobs_of_two_workers_are_all_made_once(shared: Shared, model: str) -> None:
    before = len(shared.made(model))
    jobs = [shared.ask(model, 1 + number / 10) for number in range(6)]
    assert shared.user.outcomes(jobs) == {SUCCEEDED_ONCE}
    assert {shared.user.job(job_id)["attempt"] for job_id in jobs} == {1}
    assert sorted(shared.made(model)[before:]) == [1 + number / 10 for number in range(6)]
