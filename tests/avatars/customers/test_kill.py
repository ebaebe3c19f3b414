"""A platform that is killed on the way of a photo or of an erasure forgets neither."""

import time
from pathlib import Path

import httpx2
import pytest

from tests.avatars.program import astronaut, photo
from tests.torture.platform import Running, running

pytestmark = pytest.mark.timeout(120)
NAME = "client-of-the-kill"


def client(platform: Running) -> httpx2.Client:
    headers = {"x-api-key": platform.api_key}
    return httpx2.Client(base_url=platform.url, headers=headers, timeout=70)


def send(api: httpx2.Client) -> httpx2.Response:
    content = photo(astronaut().crop((90, 0, 350, 260)))
    return api.post(f"/customers/{NAME}", files={"photo": ("me.jpg", content)})


def stored(data: Path) -> list[str]:
    """What lies in the store but for its marker."""
    kinds = ("files", "artifacts", "checkpoints")
    return [p.name for kind in kinds for p in (data / "store" / kind).rglob("*") if p.is_file()]


def left_in_database(data: Path) -> bool:
    return any(NAME.encode() in path.read_bytes() for path in data.glob("usina.sqlite*"))


def test_a_kill_between_an_upload_and_its_job(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "photo.after_arrival") as platform, client(platform) as api:
        with pytest.raises(httpx2.TransportError):
            send(api)
        platform.process.wait(10)
    assert len(stored(data)) == 1

    with running(data) as platform, client(platform) as api:
        assert api.get(f"/customers/{NAME}").json()["photoCount"] == 0
        erased = api.delete(f"/customers/{NAME}")
        assert erased.status_code == 204
        assert api.get(erased.headers["location"]).json()["rows"]["files"] == 1
    assert stored(data) == []
    assert not left_in_database(data)


def test_a_kill_between_the_objects_and_the_rows_of_an_erasure(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "erase.after_objects") as platform, client(platform) as api:
        sent = send(api).json()
        status = f"/customers/{NAME}/photos/{sent['jobId']}/status?waitSeconds=60"
        assert api.get(status).json()["status"] == "DONE"
        with pytest.raises(httpx2.TransportError):
            api.delete(f"/customers/{NAME}")
        platform.process.wait(10)
    assert stored(data) == []
    assert left_in_database(data)

    with running(data) as platform, client(platform) as api:
        until = time.monotonic() + 30
        while api.get(f"/customers/{NAME}").status_code == 200:  # nobody asks for it again
            assert time.monotonic() < until
            time.sleep(0.1)
        (receipt,) = api.get(f"/api/v1/erasures?customer={NAME}").json()["items"]
        assert receipt["rows"]["jobs"] == 1
        assert api.get(f"/api/v1/jobs/{sent['jobId']}").status_code == 404
    assert not left_in_database(data)
