"""The servers that a reader of the guide to many machines has: PostgreSQL, Redis, S3."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import postgres_server
from tests.storage.s3_server import access, fresh_bucket


@contextmanager
def servers() -> Generator[dict[str, str]]:
    """Their settings; an empty database, an empty Redis, an empty bucket."""
    name = asyncio.run(postgres_server().empty())
    with _redis() as redis_url:
        yield {
            "DATABASE_URL": postgres_server().url(name),
            "REDIS_URL": redis_url,
            "USINA_STORAGE_URL": f"s3://{fresh_bucket()}/platform",
            "S3_ENDPOINT_URL": access().url,
            "S3_ACCESS_KEY": access().access_key,
            "S3_SECRET_KEY": access().secret_key,
            "SECRET_KEY": "the-words-of-openssl-rand--hex-32",
        }
    asyncio.run(postgres_server().drop(name))


@contextmanager
def _redis() -> Generator[str]:
    folder = Path(tempfile.mkdtemp(prefix="usina-redis-"))
    socket = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(
        [*command, "--dir", str(folder)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        while "ready to accept" not in server.stdout.readline().lower():
            assert server.poll() is None, "redis-server did not start"
        try:
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.communicate()
            shutil.rmtree(folder)
