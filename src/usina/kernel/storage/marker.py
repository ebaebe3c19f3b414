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


def belongs_to(store: Store, platform_id: str) -> bool:
    """False for another platform's store, and for one without a marker. Blocks."""
    size = store.size(MARKER)
    if size is None or size > _LONGEST:
        return False
    return b"".join(store.chunks(MARKER, 0, size)).strip() == platform_id.encode()
