"""Processes killed, held still and restarted: nothing lost, nothing twice, nothing left behind."""

import os
import signal
from pathlib import Path

from tests.distributed.conftest import Works
from tests.distributed.part import Part, until
from tests.distributed.site import SUCCEEDED_ONCE, Site, meanwhile


def test_a_killed_workers_job_runs_again_elsewhere(works: Works) -> None:
    """And its programs are gone; the next worker of the machine clears its folder."""
    site, user = works.site, works.user
    other = site.worker().ready()
    job = user.submit(seconds=4)
    user.running(job)
    first, second = holder_first(site, works.worker, other)
    programs = programs_of(site, first)
    first.kill()
    until(lambda: not any(alive(pid) for pid in programs), 5)
    assert user.outcome(job) == SUCCEEDED_ONCE
    assert user.job(job)["attempt"] == 2
    assert user.types(job).count("job.retrying") == 1
    assert len(places(site)) == 2
    third = site.worker().ready()
    assert len(places(site)) == 2
    assert [part.stop() for part in (second, third)] == [0, 0]
    assert places(site) == []


def test_a_killed_launcher_or_program_costs_one_attempt(works: Works) -> None:
    user = works.user
    for attempt in (2, 2):
        job = user.submit(seconds=2)
        user.running(job)
        until(lambda: programs_of(works.site, works.worker))
        for pid in programs_of(works.site, works.worker):
            os.kill(pid, signal.SIGKILL)
        assert user.outcome(job) == SUCCEEDED_ONCE
        assert user.job(job)["attempt"] == attempt


def test_an_api_killed_in_the_midst_of_submits_that_are_repeated(works: Works) -> None:
    site, user = works.site, works.user
    keys = [f"key-{number}" for number in range(40)]

    def submit_until_it_is_there(key: str) -> str:
        while True:
            try:
                return user.submit(key=key)
            except OSError:
                raise
            except Exception:
                return ""

    with meanwhile() as threads:
        submits = [threads.submit(submit_until_it_is_there, key) for key in keys]
        until(lambda: submits[5].done())
        works.api.kill()
        early = [submit.result(30) for submit in submits]
    user = user.at(site.api().ready())
    ids = [user.submit(key=key) for key in keys]
    assert len(set(ids)) == len(keys)
    assert {job for job in early if job} <= set(ids)
    assert len(user.get("/jobs?limit=200")["items"]) == len(keys)
    assert user.outcomes(ids) == {SUCCEEDED_ONCE}


def test_a_worker_held_still_beyond_its_lease_is_fenced(empty: Site) -> None:
    empty.environment |= {"USINA_LEASE_SECONDS": "2", "USINA_HEARTBEAT_SECONDS": "0.5"}
    api, first, beat = empty.api(), empty.worker("--slots", "1"), empty.beat()
    for part in (api, first, beat):
        part.ready()
    user = empty.user(api)
    job = user.submit(seconds=30)
    user.running(job)
    second = empty.worker("--slots", "1").ready()
    programs = programs_of(empty, first)
    first.hold_still()
    until(lambda: user.job(job)["attempt"] == 2)
    first.go_on()
    first.logged("lease lost")
    until(lambda: not any(alive(pid) for pid in programs), 10)
    assert user.outcome(job) == SUCCEEDED_ONCE
    assert user.job(job)["attempt"] == 2
    assert [part.stop() for part in (first, second)] == [0, 0]


def test_workers_that_are_replaced_under_load_lose_nothing(works: Works) -> None:
    site, user = works.site, works.user
    workers = [works.worker, site.worker().ready()]
    ids = user.submit_many(40, seconds=0.3)
    for _ in range(2):
        for number, old in enumerate(workers):
            new = site.worker().ready()
            assert old.stop() == 0, old.log
            workers[number] = new
    ids += user.submit_many(5)
    assert user.outcomes(ids) == {SUCCEEDED_ONCE}
    assert [part.stop() for part in workers] == [0, 0]
    assert places(site) == []


def places(site: Site) -> list[Path]:
    """The folders of this machine's workers, living or not."""
    root = Path(site.environment["USINA_DATA"]) / "workers"
    return [place for place in root.iterdir() if place.is_dir()]


def programs_of(site: Site, worker: Part) -> list[int]:
    """What runs below a worker, by the tree of processes."""
    found: list[int] = []
    parents = [worker.process.pid]
    while parents:
        parent = parents.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                below = [int(pid) for pid in task.read_text().split()]
            except OSError:
                continue
            found += below
            parents += below
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def holder_first(site: Site, *workers: Part) -> tuple[Part, Part]:
    """The worker with a program first; a job runs a moment before its program does."""
    one, other = workers
    until(lambda: any(programs_of(site, worker) for worker in workers))
    return (one, other) if programs_of(site, one) else (other, one)
