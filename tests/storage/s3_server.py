"""The S3 server of a test session, and fresh buckets in it."""

import atexit
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from uuid import uuid4

import httpx2

from usina.kernel.storage.s3_address import S3Access
from usina.kernel.storage.signature import signed_headers


@cache
def access() -> S3Access:
    """The server that ``USINA_TEST_S3`` names (key, secret, endpoint), else moto's, started now."""
    given = os.environ.get("USINA_TEST_S3")
    if given is not None:
        access_key, secret_key, endpoint = given.split(" ")
        return S3Access(access_key, secret_key, endpoint=endpoint)
    return S3Access("key", "kept-from-every-log", endpoint=f"http://127.0.0.1:{_started()}")


def settings_of_bucket(behind: S3Access | None = None) -> dict[str, str]:
    """The settings of a platform whose store is a part of a fresh bucket."""
    used = behind or access()
    return {
        "storage_url": f"s3://{fresh_bucket()}/a/platform",
        "s3_endpoint_url": used.url,
        "s3_public_endpoint_url": used.public_url,
        "s3_access_key": used.access_key,
        "s3_secret_key": used.secret_key,
    }


def fresh_bucket() -> str:
    bucket = f"usina-{uuid4()}"
    make_bucket(access(), bucket)
    return bucket


def make_bucket(owner: S3Access, bucket: str) -> None:
    url = f"{owner.url}/{bucket}"
    headers = signed_headers(owner, "PUT", url, {}, {}, b"", datetime.now(UTC))
    httpx2.put(url, headers=headers, timeout=90).raise_for_status()


def _started() -> int:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.moto_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None

    def end() -> None:
        server.communicate()

    atexit.register(end)
    return int(server.stdout.readline())
