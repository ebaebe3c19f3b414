"""What is learned of bytes while they pass: how many, their SHA-256, how they begin."""

import hashlib
from typing import Final

from usina.kernel.storage.store import Data

HEAD_BYTES: Final = 4096


class Digest:
    """Fed with every chunk, in order."""

    __slots__ = ("_hash", "head", "size_bytes")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        self.head = b""

    def update(self, data: Data) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(data[: HEAD_BYTES - len(self.head)])
        self._hash.update(data)
        self.size_bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
