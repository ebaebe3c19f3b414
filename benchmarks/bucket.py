"""Uploads and downloads of one large file through a platform whose store is a bucket, against the
same work done straight at the same server: by obstore, which the platform uses, and by boto3.

    python -m tests.storage.ceph python -m benchmarks bucket

measures over a real object gateway (``USINA_TEST_S3`` names it); without, over moto. Sides take
turns in the same run. The platform also receives over HTTP, hashes, sniffs and commits a row, and
a file that is sent by a presigned address is copied and read again; so this tells what a client
has to wait for, and the aims only guard against what would be absurd. Memory must stay flat.
"""

import argparse
import http.client
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store as Bucket
from tests.storage.s3_server import access, fresh_bucket

from benchmarks.transfer import (
    MIB,
    Served,
    delete,
    download,
    peak_mib,
    server,
    start_peak,
    upload,
)
from usina.settings import variable_of

UPLOAD_LEAST: Final = 0.3
DOWNLOAD_LEAST: Final = 0.3
GROWTH_MOST_MIB: Final = 64
"""However large the file: parts of 8 MiB, what the client makes of them, and the allocator."""

_PART_MIB: Final = 8
_PIECE: Final = os.urandom(MIB)


@dataclass(frozen=True, slots=True)
class Rig:
    platform: Served
    straight: Bucket
    boto: Any
    bucket: str
    size_mib: int


Work = Callable[[Rig], None]


def _upload_by_platform(rig: Rig) -> None:
    _forget(rig, upload(rig.platform, rig.size_mib))


def _upload_presigned(rig: Rig) -> None:
    """Opened, sent to the server itself, completed."""
    asked = {"name": "large.bin", "size_bytes": rig.size_mib * MIB}
    opened = _post(rig, "/api/v1/files/uploads", asked)
    target = urlsplit(opened["upload_url"])
    assert target.hostname is not None
    connection = http.client.HTTPConnection(target.hostname, target.port or 80, timeout=600)
    connection.putrequest(opened["method"], f"{target.path}?{target.query}")
    for name, value in opened["headers"].items():
        connection.putheader(name, value)
    connection.endheaders()
    for _ in range(rig.size_mib):
        connection.send(_PIECE)
    assert connection.getresponse().status == 200
    connection.close()
    _forget(rig, _post(rig, f"/api/v1/files/uploads/{opened['id']}/complete", None)["id"])


def _upload_by_obstore(rig: Rig) -> None:
    """As the platform does it: part after part."""
    with obstore.open_writer(
        rig.straight, "straight", buffer_size=_PART_MIB * MIB, max_concurrency=1
    ) as out:
        for _ in range(rig.size_mib):
            out.write(_PIECE)


def _upload_by_boto3(rig: Rig) -> None:
    """As it does it by itself: up to ten parts at once."""
    rig.boto.upload_fileobj(_Endless(rig.size_mib * MIB), rig.bucket, "straight")


def _download_by_platform(rig: Rig, path: str) -> None:
    download(rig.platform, path, rig.size_mib)


def _download_by_obstore(rig: Rig) -> None:
    received = sum(len(step) for step in obstore.get(rig.straight, "straight").stream())
    assert received == rig.size_mib * MIB


def _download_by_boto3(rig: Rig) -> None:
    body = rig.boto.get_object(Bucket=rig.bucket, Key="straight")["Body"]
    received = 0
    while step := body.read(2 * MIB):
        received += len(step)
    assert received == rig.size_mib * MIB


class _Endless(io.RawIOBase):
    """A file of so many bytes that nobody has to hold."""

    def __init__(self, left: int) -> None:
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(_PIECE), self._left)
        buffer[:count] = _PIECE[:count]
        self._left -= count
        return count


def measure(rig: Rig, works: dict[str, Work], rounds: int) -> tuple[dict[str, float], float]:
    """Median MB/s of each, in turns, and the most that the platform's memory grew by."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    growth = 0.0
    for turn in range(rounds):
        names = list(works)[turn % len(works) :] + list(works)[: turn % len(works)]
        for name in names:
            start = start_peak(rig.platform.pid)
            begin = time.perf_counter()
            works[name](rig)
            seconds[name].append(time.perf_counter() - begin)
            growth = max(growth, peak_mib(rig.platform.pid) - start)
    megabytes = rig.size_mib * MIB / 1e6
    return {name: megabytes / statistics.median(took) for name, took in seconds.items()}, growth


def _show(title: str, speeds: dict[str, float], growth: float, least: float) -> bool:
    """Whether the platform's own way keeps its aims."""
    ratio = speeds["platform"] / speeds["obstore"]
    holds = ratio >= least and growth <= GROWTH_MOST_MIB
    told = ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items())
    print(
        f"{title}: {ratio:.2f} of obstore straight to the server (at least {least}); MB/s: {told}; "
        f"memory +{growth:.0f} MiB (at most {GROWTH_MOST_MIB}){'' if holds else '  FAILS'}",
        flush=True,
    )
    return holds


def _post(rig: Rig, path: str, document: dict[str, Any] | None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", rig.platform.port, timeout=600)
    body = None if document is None else json.dumps(document)
    headers = {"x-api-key": rig.platform.key, "content-type": "application/json"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    read = json.loads(answer.read())
    connection.close()
    assert answer.status in {200, 201}, read
    return read


def _forget(rig: Rig, file_id: str) -> None:
    delete(rig.platform, file_id)


def _bucket_settings(bucket: str) -> dict[str, str]:
    return {
        variable_of("storage_url"): f"s3://{bucket}/platform",
        variable_of("s3_endpoint_url"): access().url,
        variable_of("s3_access_key"): access().access_key,
        variable_of("s3_secret_key"): access().secret_key,
    }


def _clients(bucket: str) -> tuple[Bucket, Any]:
    import boto3

    keys = (access().access_key, access().secret_key)
    straight = Bucket(
        bucket,
        endpoint=access().url,
        region=access().region,
        access_key_id=keys[0],
        secret_access_key=keys[1],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": "600s"},
    )
    boto = boto3.client(
        "s3",
        endpoint_url=access().url,
        region_name=access().region,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
    )
    return straight, boto


def run(size_mib: int, rounds: int) -> bool:
    bucket = fresh_bucket()
    os.environ.update(_bucket_settings(bucket))
    straight, boto = _clients(bucket)
    with (
        tempfile.TemporaryDirectory(prefix="usina-bucket-") as folder,
        server("platform", Path(folder) / "platform") as platform,
    ):
        rig = Rig(platform, straight, boto, bucket, size_mib)
        uploads: dict[str, Work] = {
            "platform": _upload_by_platform,
            "presigned": _upload_presigned,
            "obstore": _upload_by_obstore,
            "boto3": _upload_by_boto3,
        }
        fast = _show("upload", *measure(rig, uploads, rounds), UPLOAD_LEAST)
        path = f"/api/v1/files/{upload(platform, size_mib)}/content"
        downloads: dict[str, Work] = {
            "platform": lambda rig: _download_by_platform(rig, path),
            "obstore": _download_by_obstore,
            "boto3": _download_by_boto3,
        }
        return _show("download", *measure(rig, downloads, rounds), DOWNLOAD_LEAST) and fast


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    return 0 if run(given.mib, given.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
