"""``usina db copy``: a platform from one machine to many, or back."""

import asyncio
import contextlib
from importlib import import_module
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from usina.data_folder import FolderInUse, locked
from usina.kernel.db.connect import Address
from usina.kernel.errors import Conflict, Invalid, NotFound
from usina.kernel.moving.move import MoveReport, Source, Target, move
from usina.kernel.moving.rows import Watch
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.store import Store
from usina.settings import Settings
from usina.storage import open_chosen_store

_FILE: Final = "usina.sqlite"


def copy(settings: Settings, source: Path | None, target: Path | None, watch: Watch) -> MoveReport:
    """Copies a platform between the folders given and the servers that the settings name.

    Without a ``source`` it is the data folder, or, where there is a ``target``, the servers.
    """
    if target is None and settings.database_url is None:
        raise Invalid(
            "Where to is not said. Set DATABASE_URL and USINA_STORAGE_URL, or give --to DIR.",
            code="copy_target_missing",
        )
    if source is None and (target is None or settings.database_url is None):
        source = settings.data
    if source is not None and target is not None and source.resolve() == target.resolve():
        raise Conflict("A platform can not be copied onto itself.", code="copy_onto_itself")
    if target is None:
        _refuse_one_store_for_two(settings, source)
    load_tables()
    return asyncio.run(_copy(settings, source, target, watch))


async def _copy(
    settings: Settings, source: Path | None, target: Path | None, watch: Watch
) -> MoveReport:
    with contextlib.ExitStack() as held:
        if source is not None and not (source / _FILE).exists():
            raise NotFound(f"There is no platform in the folder {source}.")
        for folder in filter(None, (source, target)):
            _hold(folder, held)
        outside = source is not None and not (source / "store").is_dir()
        origin = Source(
            _address(settings, source), None if outside else _store(settings, source, held)
        )
        there = Target(_address(settings, target), _store(settings, target, held))
        return await move(origin, there, watch)


def _refuse_one_store_for_two(settings: Settings, folder: Path | None) -> None:
    """Two platforms with one store would sweep away each other's objects."""
    url = urlsplit(settings.storage_url or "")
    if url.scheme != "file" or folder is None:
        return
    if Path(unquote(url.path)).resolve() == (folder / "store").resolve():
        raise Conflict(
            "USINA_STORAGE_URL is the store of the source. Two platforms can not share one: give "
            "another folder or a bucket.",
            code="copy_onto_itself",
        )


def _hold(folder: Path, held: contextlib.ExitStack) -> None:
    try:
        held.enter_context(locked(folder))
    except FolderInUse as error:
        raise Conflict(str(error), code="folder_in_use") from error


def _address(settings: Settings, folder: Path | None) -> Address:
    """The database of a folder, or the one of the settings."""
    return folder / _FILE if folder is not None else settings.database_url or settings.database_path


def _store(settings: Settings, folder: Path | None, held: contextlib.ExitStack) -> Store:
    """The store of a folder, or the one of the settings; closed in the end."""
    if folder is not None:
        store: Store = FolderStore(folder / "store")
    elif settings.storage_url is None:
        raise Invalid(
            "USINA_STORAGE_URL is not set. Objects have to lie where every machine reaches them.",
            code="copy_target_missing",
        )
    else:
        store = open_chosen_store(settings)
    held.callback(store.close)
    return store


def load_tables() -> None:
    """Every room's tables stand in the metadata afterwards, also of rooms that nobody asked for."""
    root = Path(__file__).parent
    for path in sorted(root.rglob("table.py")):
        import_module(".".join(("usina", *path.relative_to(root).with_suffix("").parts)))
