"""Whose store this is: an object that holds the id of the platform's database."""

from typing import Final

from usina.kernel.storage.store import Store

MARKER: Final = ".usina-platform"
_LONGEST: Final = 100


def claim(store: Store, platform_id: str) -> bool:
    """Marks an empty store; whether the store is this platform's afterwards. Blocks."""
    if store.size(MARKER) is None and next(store.list(""), None) is None:
        store.put(MARKER, f"{platform_id}\n".encode())
    return belongs_to(store, platform_id)


def adopt(store: Store, platform_id: str) -> str | None:
    """From now on the store is this platform's, whosever it was: the id that was there. Blocks."""
    before = owner_of(store)
    store.put(MARKER, f"{platform_id}\n".encode())
    return before


def belongs_to(store: Store, platform_id: str) -> bool:
    """False for another platform's store, and for one without a marker. Blocks."""
    return owner_of(store) == platform_id


def owner_of(store: Store) -> str | None:
    """The id in the marker; null where there is none, or what is no id. Blocks."""
    size = store.size(MARKER)
    if size is None or size > _LONGEST:
        return None
    return b"".join(store.chunks(MARKER, 0, size)).decode(errors="replace").strip()
