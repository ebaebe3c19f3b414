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
    return S3Access("key", "secret", endpoint=f"http://127.0.0.1:{_started()}")


def fresh_bucket() -> str:
    bucket = f"usina-{uuid4()}"
    url = f"{access().url}/{bucket}"
    headers = signed_headers(access(), "PUT", url, {}, {}, b"", datetime.now(UTC))
    httpx2.put(url, headers=headers, timeout=30).raise_for_status()
    return bucket


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
