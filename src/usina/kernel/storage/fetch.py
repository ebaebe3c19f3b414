"""Out of the store into a file of this machine: how a job gets its inputs."""

import os
from pathlib import Path

from usina.kernel.errors import Unavailable
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.full import refusing_when_full
from usina.kernel.storage.store import ObjectMissing, Store


def copy_out(store: Store, key: str, target: Path, sha256: str) -> None:
    """A private copy, so that a program that writes to its inputs changes nothing here."""
    digest = Digest()
    size = store.size(key)
    if size is None:
        raise _lost()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with refusing_when_full(), os.fdopen(os.open(target, flags, 0o600), "wb") as file:
            for step in store.chunks(key, 0, size):
                digest.update(step)
                file.write(step)
    except ObjectMissing as error:
        raise _lost() from error
    if digest.sha256 != sha256:
        raise Unavailable(
            "The stored bytes of an input are no longer what was uploaded; upload it again.",
            code="content_damaged",
        )


def _lost() -> Unavailable:
    return Unavailable(
        "The bytes of an input are no longer in the store; upload it again.", code="content_lost"
    )
