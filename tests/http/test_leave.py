"""A platform that is told to leave while clients wait."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from tests.torture.platform import get_json, running


def _read_whole(client: httpx2.Client, path: str) -> str:
    with client.stream("GET", path, headers={"accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
        return "".join(stream.iter_text())


def test_who_waits_is_answered_with_what_there_is(tmp_path: Path) -> None:
    with running(tmp_path / "data") as platform, platform.client() as client:
        submission = {"model": "echo-v1", "params": {"seconds": 600}}
        job = client.post("/jobs", json=submission).json()["id"]
        with ThreadPoolExecutor(3) as threads:
            polled = threads.submit(client.get, f"/jobs/{job}?wait_seconds=60")
            streamed = threads.submit(_read_whole, client, f"/jobs/{job}/events")
            logged = threads.submit(_read_whole, client, f"/jobs/{job}/logs")
            while get_json(client, f"/jobs/{job}")["status"] != "RUNNING":
                pass
            assert platform.stop() == 0
            assert polled.result(10).status_code == 200
            assert "event: job.running" in streamed.result(10)
            logged.result(10)
    assert "Exception in ASGI" not in (tmp_path / "platform.log").read_text()
