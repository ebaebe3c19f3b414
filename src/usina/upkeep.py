"""What is done to a platform that is not at work: its schema, its first users.

Each works on the database that the settings name: PostgreSQL where ``DATABASE_URL`` is set, else
the file in the data folder.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from usina.ground import postgres_options
from usina.kernel.db import meta
from usina.kernel.db.connect import Address, open_database, revision_at, shown
from usina.kernel.db.connect import upgrade_database as upgrade_at
from usina.kernel.db.migrations import HEAD
from usina.kernel.errors import NotFound
from usina.kernel.storage.marker import adopt
from usina.kernel.tenancy.api_key import Wanted
from usina.kernel.tenancy.permission import Role
from usina.kernel.tenancy.service import (
    CreatedKey,
    CreatedOrganization,
    CreatedUser,
    KnownOrganization,
    SeedReport,
    Tenancy,
)
from usina.settings import Settings
from usina.storage import open_chosen_store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Revision:
    """Where a schema is, null for none yet, and where this Usina wants it."""

    revision: str | None
    head: str = HEAD


def revision(settings: Settings) -> Revision:
    """Changes nothing, not even an empty folder."""
    return Revision(asyncio.run(revision_at(_address(settings))))


def upgrade_database(settings: Settings) -> str:
    """Brings the schema to the newest revision and returns its name."""
    asyncio.run(_upgrade(settings))
    return HEAD


def seed(settings: Settings) -> SeedReport:
    """The first organization, owner and key; safe beside a running platform and to repeat."""
    return asyncio.run(_with_tenancy(settings, lambda tenancy: seed_in(settings, tenancy)))


def create_organization(settings: Settings, name: str) -> CreatedOrganization:
    """A new organization and its first key."""
    return asyncio.run(_with_tenancy(settings, lambda tenancy: tenancy.create_organization(name)))


def list_organizations(settings: Settings) -> list[KnownOrganization]:
    """The oldest first."""
    return asyncio.run(_with_tenancy(settings, lambda tenancy: tenancy.organizations()))


def create_user(
    settings: Settings, organization: str, email: str, role: Role, password: str | None
) -> CreatedUser:
    """A member of an organization; without a password given, one is made."""
    return asyncio.run(
        _with_tenancy(
            settings, lambda tenancy: tenancy.create_user(organization, email, role, password)
        )
    )


def create_key(settings: Settings, organization: str, wanted: Wanted, role: Role) -> CreatedKey:
    """A key that is nobody's."""
    return asyncio.run(
        _with_tenancy(settings, lambda tenancy: tenancy.create_key(organization, wanted, role))
    )


def revoke_key(settings: Settings, key: str) -> str:
    """Revokes a key by its id or its prefix; returns its id."""
    return asyncio.run(_with_tenancy(settings, lambda tenancy: tenancy.revoke_key(key)))


@dataclass(frozen=True, slots=True)
class Adoption:
    """A store that was given to a platform; ``before`` is whose it was, null for nobody's."""

    platform_id: str
    before: str | None


def adopt_store(settings: Settings) -> Adoption:
    """Makes the store of the settings that of their database's platform, which has to exist."""
    return asyncio.run(_adopt_store(settings))


async def seed_in(settings: Settings, tenancy: Tenancy) -> SeedReport:
    """What ``FIRST_SUPERUSER_*`` name."""
    password, key = settings.first_superuser_password, settings.first_superuser_api_key
    return await tenancy.seed(
        settings.first_superuser_username,
        None if password is None else password.get_secret_value(),
        None if key is None else key.get_secret_value(),
    )


def _address(settings: Settings) -> Address:
    return settings.database_url or settings.database_path


async def _adopt_store(settings: Settings) -> Adoption:
    address = _address(settings)
    if await revision_at(address) is None:
        raise NotFound(f"There is no platform in {shown(address)} that could have a store.")
    database = open_database(address, postgres_options(settings))
    try:
        platform_id = await database.read(meta.platform_id)
    finally:
        await database.close()
    with contextlib.closing(open_chosen_store(settings)) as store:
        return Adoption(platform_id, await store.run(lambda: adopt(store, platform_id)))


async def _upgrade(settings: Settings) -> None:
    if settings.database_url is None:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    await upgrade_at(_address(settings))


async def _with_tenancy(settings: Settings, work: Callable[[Tenancy], Awaitable[T]]) -> T:
    await _upgrade(settings)
    database = open_database(_address(settings), postgres_options(settings))
    try:
        await database.write(meta.prepare)
        return await work(Tenancy(database))
    finally:
        await database.close()
