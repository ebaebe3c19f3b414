"""Writes 200 MB, fetches 100 MB, and prints by how much this process grew."""

import asyncio
import hashlib
import resource
import sys
from pathlib import Path

from tests.storage.s3_server import access
from usina.kernel.storage.s3 import S3Store
from usina.kernel.storage.s3_address import S3Place

CHUNK = b"0123456789abcdef" * 62_500


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def main(bucket: str, target: Path) -> None:
    store = S3Store(S3Place.of(f"s3://{bucket}/usina"), access())
    store.put("files/o/small", b"everything is loaded")
    before = peak_bytes()
    write(store, "files/o/written", 200)
    digest = write(store, "files/o/fetched", 100)
    await store.fetch("files/o/fetched", target, digest)
    sizes = f"{store.size('files/o/written')} {target.stat().st_size}"
    store.close()
    sys.stdout.write(f"{sizes} {peak_bytes() - before}\n")


def write(store: S3Store, key: str, megabytes: int) -> str:
    """Writes an object, and says its SHA-256."""
    writer = store.writer(key)
    digest = hashlib.sha256()
    for _ in range(megabytes):
        writer.write(CHUNK)
        digest.update(CHUNK)
    writer.commit()
    return digest.hexdigest()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
