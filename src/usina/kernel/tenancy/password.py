"""Passwords: Argon2id hashes, made beside the event loop and never more than two at once.

A hash takes some 64 MiB and tens of milliseconds by design. Who is unknown is compared with a hash
that fits nobody, so that an answer's time tells nothing.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, TypeVar

from pwdlib import PasswordHash

from usina.kernel.errors import Invalid
from usina.kernel.text import refuse_nul

T = TypeVar("T")

SHORTEST: Final = 8
LONGEST: Final = 256
_AT_ONCE: Final = 2


class Passwords:
    def __init__(self) -> None:
        self._hasher = PasswordHash.recommended()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="usina-password")

    async def hash(self, password: str) -> str:
        return await self._beside(self._hasher.hash, password)

    async def verify(self, password: str, known: str | None) -> bool:
        """Whether the password has the known hash; null is nobody's, and takes as long."""
        fits = await self._beside(self._verify, password[: LONGEST + 1], known)
        return fits and known is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, known: str | None) -> bool:
        nobodys = self._nobodys
        return self._hasher.verify(password, nobodys if known is None else known)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_hex(16))

    async def _beside(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def check_password(password: str, username: str, pointer: str) -> None:
    """Raises ``Invalid`` where it is no password to be."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid.at(pointer, f"A password has {SHORTEST} to {LONGEST} characters.")
    refuse_nul(password, pointer)
    if password.lower() == username:
        raise Invalid.at(pointer, "A password is not the address that it goes with.")
