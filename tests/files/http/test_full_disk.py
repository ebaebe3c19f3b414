"""A store whose disk is full, seen from outside."""

from pathlib import Path

from tests.http.conftest import Running, served, settings_of
from tests.storage.conftest import SMALL_DISK_BYTES, everything_in, small_disk
from usina.app import embedded
from usina.faces.http.app import create_app
from usina.kernel.storage.marker import MARKER

__all__ = ["small_disk"]

TICKET = "/api/v1/jobs/upload-ticket"


async def test_a_full_disk_is_told_as_such_and_keeps_nothing(
    tmp_path: Path,
    small_disk: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "store").symlink_to(small_disk)
    too_much = bytes(SMALL_DISK_BYTES + 1)
    async with (
        embedded(settings_of(data)) as platform,
        served(create_app(platform.platform)) as client,
    ):
        api = await Running(platform.platform, client).new_organization()
        ticket = (await api.post(TICKET, json={"filename": "a"})).json()
        answers = [
            await api.post("/api/v1/files", files={"file": ("a", too_much)}),
            await client.put(ticket["upload_url"], content=too_much),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_full")
            assert int(answer.headers["retry-after"]) > 0
        assert everything_in(small_disk) == [MARKER]
        fits = await api.post("/api/v1/files", files={"file": ("a", b"fits")})
        assert fits.status_code == 201
