"""A life of one platform: work is asked for, the platform is killed, it starts again and drains.

Everything random comes from one seed, so that a failure can be told and replayed.
"""

import contextlib
import random
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.torture.ear import Ear, listening
from tests.torture.invariant import violations
from tests.torture.platform import Running, get_json, running, start
from usina.kernel.failpoints import NAMES

PLACES = sorted(name for name in NAMES if not name.startswith(("copy.", "reuse.")))
"""Where a platform may die. The places of `usina db copy` are visited in tests/moving, those of an
earlier result in test_reuse.py."""

DRAIN_SECONDS = 60
_TIDY_SECONDS = 5


@dataclass
class History:
    """What clients were told; what they were not told may or may not have happened."""

    ear: Ear
    accepted: set[str] = field(default_factory=set[str])
    deleted: set[str] = field(default_factory=set[str])
    by_key: dict[str, str] = field(default_factory=dict[str, str])
    doubled: list[str] = field(default_factory=list[str])


def kill_at(failpoint: str, data: Path, seed: int) -> list[str]:
    """One run: the platform dies at the failpoint's first or later visit, then all must be well.

    Returns what is broken, in words. A failpoint that was never reached is broken too.
    """
    random_ = random.Random(f"{failpoint} {seed}")
    with listening() as ear:
        return _kill_at(failpoint, data, seed, random_, History(ear))


def _kill_at(
    failpoint: str, data: Path, seed: int, random_: random.Random, history: History
) -> list[str]:
    visit = 1 if failpoint.startswith(("sweep.", "stop.")) else random_.choice([1, 1, 2, 3])
    died = _work_until_death(f"{failpoint}:{visit}", data, random_, history)
    if not died:
        return [f"{failpoint}:{visit} was never reached (seed {seed})"]
    with running(data) as platform, platform.client() as client:
        _repeat_submits(client, history)
        _end_schedules(client)
        _drain(client)
        again = _settled(data, history)
        stopped = platform.stop()
    broken = again + violations(data, history.accepted, history.deleted, alive=False)
    if stopped != 0:
        broken.append(f"TERM ended with {stopped}")
    return [*broken, *history.doubled]


def _settled(data: Path, history: History) -> list[str]:
    """What is wrong once the tidying behind the last ends has had its moment."""
    deadline = time.monotonic() + _TIDY_SECONDS
    while wrong := [
        *violations(data, history.accepted, history.deleted, alive=True),
        *history.ear.missed(data),
    ]:
        if time.monotonic() > deadline:
            return wrong
        time.sleep(0.05)
    return []


def _work_until_death(failpoint: str, data: Path, random_: random.Random, history: History) -> bool:
    name = failpoint.partition(":")[0]
    if name in {"rescue.in_transaction", "rescue.after_commit", "sweep.after_object"}:
        _leave_a_mess(data, history)
    platform = start(data, failpoint, USINA_HEARTBEAT_SECONDS="0.1")
    if platform is None:
        return True
    deadline = time.monotonic() + 20
    with platform.client() as client:
        with contextlib.suppress(httpx2.HTTPError):
            client.post("/webhooks", json={"url": history.ear.url}).raise_for_status()
        if name.startswith("stop."):
            _stop_amid_work(platform, client, history)
        if name.startswith("fire."):
            _schedule(client)
        while platform.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx2.HTTPError):
                _one_thing(client, random_, history)
    died = platform.process.poll() is not None
    platform.kill()
    return died


def _leave_a_mess(data: Path, history: History) -> None:
    """Jobs that run and bytes that nobody names, left by an earlier death."""
    with running(data) as platform, platform.client() as client:
        for _ in range(3):
            _submit(client, {"seconds": 5}, history)
        deadline = time.monotonic() + 30
        while not get_json(client, "/jobs?status=RUNNING")["items"]:
            assert time.monotonic() < deadline, "no job began"
        platform.kill()
    orphan = data / "store/artifacts" / str(uuid.uuid4()) / str(uuid.uuid4()) / str(uuid.uuid4())
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"orphan")


def _stop_amid_work(platform: Running, client: httpx2.Client, history: History) -> None:
    """TERM while programs are at work that will not end within the grace."""
    for _ in range(3):
        _submit(client, {"seconds": 4}, history)
    deadline = time.monotonic() + 30
    while not get_json(client, "/jobs?status=RUNNING")["items"]:
        assert time.monotonic() < deadline, "no job began"
    platform.process.terminate()


def _schedule(client: httpx2.Client) -> None:
    """Jobs by the clock, besides all others."""
    plan = {"name": "tick", "every_seconds": 1, "catch_up": "all", "job": {"model": "echo-v1"}}
    client.post("/schedules", json=plan).raise_for_status()


def _end_schedules(client: httpx2.Client) -> None:
    for found in get_json(client, "/schedules")["items"]:
        client.delete(f"/schedules/{found['id']}").raise_for_status()


def _one_thing(client: httpx2.Client, random_: random.Random, history: History) -> None:
    """Something that users do, the ordinary more often than the rare."""
    roll = random_.random()
    if roll < 0.45:
        _submit(client, _params(random_), history)
    elif roll < 0.6:
        _upload(client, random_)
    elif roll < 0.75:
        _change_one(client, random_, history)
    elif roll < 0.85:
        jobs = get_json(client, "/jobs?limit=1&status=QUEUED&status=RUNNING")["items"]
        if jobs:
            client.get(f"/jobs/{jobs[0]['id']}?wait_seconds=0.2")
    else:
        get_json(client, "/jobs?limit=20")


def _params(random_: random.Random) -> dict[str, object]:
    """Of ``echo-v1``; those with steps are of ``steps-v1``, which saves each of them."""
    return random_.choice(
        [
            {},
            {"artifacts": 2, "artifact_bytes": 20_000, "log_lines": 3},
            {"seconds": 0.4, "progress_steps": 8},
            {"fail": "runner_failed", "fail_attempts": 1},
            {"fail": "invalid_input"},
            {"steps": 3, "stop_at": 2},
        ]
    )


def _submit(client: httpx2.Client, params: dict[str, object], history: History) -> None:
    key = uuid.uuid4().hex
    history.by_key[key] = ""
    _send(client, key, params, history)


def _send(client: httpx2.Client, key: str, params: dict[str, object], history: History) -> None:
    response = client.post(
        "/jobs",
        json={
            "model": "steps-v1" if "steps" in params else "echo-v1",
            "params": params,
            "labels": {"key": key},
        },
        headers={"Idempotency-Key": key},
    )
    response.raise_for_status()
    job_id = response.json()["id"]
    history.accepted.add(job_id)
    history.by_key[key] = job_id


def _repeat_submits(client: httpx2.Client, history: History) -> None:
    """A client whose answer was lost asks again: there is one job per key, never two."""
    for key, job_id in history.by_key.items():
        found = get_json(client, f"/jobs?label.key={key}")["items"]
        known = {job["id"] for job in found} | ({job_id} - {""} - history.deleted)
        if len(known) > 1:
            history.doubled.append(f"key {key} made {known}")


def _upload(client: httpx2.Client, random_: random.Random) -> None:
    size = random_.choice([10, 5_000, 300_000])
    client.post("/files", files={"file": ("some.bin", random_.randbytes(size))})


def _change_one(client: httpx2.Client, random_: random.Random, history: History) -> None:
    jobs = get_json(client, "/jobs?limit=50")["items"]
    if not jobs:
        return
    job = random_.choice(jobs)
    address = f"/jobs/{job['id']}"
    if job["status"] in {"QUEUED", "RUNNING"}:
        client.post(f"{address}/cancel")
    elif job["status"] in {"FAILED", "CANCELLED"} and random_.random() < 0.6:
        client.post(f"{address}/retry")
    else:
        history.deleted.add(job["id"])  # asked for: from now on it may be gone
        client.delete(address)


def _drain(client: httpx2.Client) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while jobs := get_json(client, "/jobs?status=QUEUED&status=RUNNING")["items"]:
        assert time.monotonic() < deadline, f"never ended: {jobs}"
        client.get(f"/jobs/{jobs[-1]['id']}?wait_seconds=5")
