"""The stores that the port's behaviour is specified over; S3 will be the second entry."""

from collections.abc import Callable
from pathlib import Path

from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.store import Store

OpenStore = Callable[[Path], Store]

STORES: dict[str, OpenStore] = {"folder": lambda folder: FolderStore(folder / "store")}
