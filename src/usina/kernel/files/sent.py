"""Bytes that a client has put into the store itself, by a signed address and past the platform.

Their place can be written to again until the address expires, whatever was read there. So they are
copied to a place of the platform's own, and what is read there is what the file holds.
"""

from collections.abc import Callable
from contextlib import suppress

from usina.kernel.errors import Unavailable
from usina.kernel.files.file import Upload
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.store import ObjectMissing, Store


def take_sent(
    store: Store, upload: Upload, key: str, check_size: Callable[[int], None]
) -> Digest | None:
    """What was sent, now also under ``key``; null when nothing was. Blocks.

    Bytes of a size that ``check_size`` raises for are removed: better ones may then be sent.
    """
    size = store.size(upload.sent_key)
    if size is None:
        return None
    try:
        check_size(size)
    except BaseException:
        store.delete([upload.sent_key])
        raise
    try:
        store.copy(upload.sent_key, key)
    except ObjectMissing:  # somebody else has taken it meanwhile
        return None
    try:
        return _read(store, key, check_size)
    except BaseException:
        with suppress(Unavailable):  # the sweep deletes it then
            store.delete([key])
        raise


def _read(store: Store, key: str, check_size: Callable[[int], None]) -> Digest:
    """The copy may be of other bytes than those whose size was looked at."""
    size = store.size(key) or 0
    check_size(size)
    digest = Digest()
    for step in store.chunks(key, 0, size):
        digest.update(step)
    return digest
