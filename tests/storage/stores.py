"""The stores that the port's behaviour is specified over."""

from collections.abc import Callable
from pathlib import Path

from tests.storage.s3_server import access, fresh_bucket
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.s3 import S3Store
from usina.kernel.storage.s3_address import S3Place
from usina.kernel.storage.store import Store

Opening = Callable[[], Store]
"""Opens a test's own store, which begins empty; again, it is the same."""


def _folder(folder: Path) -> Opening:
    return lambda: FolderStore(folder / "store")


def _s3(folder: Path) -> Opening:
    place = S3Place.of(f"s3://{fresh_bucket()}/{folder.name[:8]}/platform")
    return lambda: S3Store(place, access())


STORES: dict[str, Callable[[Path], Opening]] = {"folder": _folder, "s3": _s3}
