"""Passwords are hashed as costly as is recommended, by a process that no test has touched."""

import subprocess
import sys

from usina.kernel.tenancy.password import Passwords

LEAST = {"m": 64 * 1024, "t": 3}
"""Of Argon2id: KiB of memory and passes, the second choice of RFC 9106, section 4."""

HASHES = """
import asyncio
from usina.kernel.tenancy.password import Passwords
print(asyncio.run(Passwords().hash("correct horse battery")))
"""


def test_a_hash_is_argon2id_and_costs_what_is_recommended() -> None:
    hashed = subprocess.check_output([sys.executable, "-c", HASHES], text=True).strip()
    _, kind, _, cost, *_ = hashed.split("$")
    found = {name: int(value) for name, value in (part.split("=") for part in cost.split(","))}
    assert kind == "argon2id"
    assert all(found[name] >= least for name, least in LEAST.items()), cost


async def test_it_fits_its_password_alone_and_nobody_has_one_that_fits() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse battery")
    assert await passwords.verify("correct horse battery", hashed)
    assert not await passwords.verify("another password", hashed)
    assert not await passwords.verify("correct horse battery", None)
    passwords.close()
