"""What operators do beside a running platform: the schema, the first users, organizations."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from usina.ground import migrate, postgres_options
from usina.kernel.db import meta
from usina.kernel.db.migrations import HEAD
from usina.kernel.db.postgres import PostgresDatabase, upgrade_postgres
from usina.kernel.db.sqlite import SqliteDatabase
from usina.kernel.db.unit_of_work import Database
from usina.kernel.tenancy.service import CreatedOrganization, SeedReport, Tenancy
from usina.settings import Settings


def upgrade_database(settings: Settings) -> str:
    """Brings the schema to the newest revision and returns its name."""
    asyncio.run(_upgrade(settings))
    return HEAD


def seed(settings: Settings) -> SeedReport:
    """The first organization, owner and key; safe beside a running platform and to repeat."""

    async def run() -> SeedReport:
        async with _prepared(settings) as database:
            return await seed_in(settings, Tenancy(database))

    return asyncio.run(run())


def create_organization(settings: Settings, name: str) -> CreatedOrganization:
    """A new organization and its first key."""

    async def run() -> CreatedOrganization:
        async with _prepared(settings) as database:
            return await Tenancy(database).create_organization(name)

    return asyncio.run(run())


async def seed_in(settings: Settings, tenancy: Tenancy) -> SeedReport:
    """The first organization, owner and key as the settings name them."""
    password, key = settings.first_superuser_password, settings.first_superuser_api_key
    return await tenancy.seed(
        settings.first_superuser_username,
        None if password is None else password.get_secret_value(),
        None if key is None else key.get_secret_value(),
    )


async def _upgrade(settings: Settings) -> None:
    if settings.database_url is not None:
        await upgrade_postgres(settings.database_url)
        return
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrate(settings)


@contextlib.asynccontextmanager
async def _prepared(settings: Settings) -> AsyncGenerator[Database]:
    """The database of the settings, with every table."""
    await _upgrade(settings)
    database: Database = (
        SqliteDatabase(settings.database_path)
        if settings.database_url is None
        else PostgresDatabase(settings.database_url, postgres_options(settings))
    )
    try:
        await database.write(meta.prepare)
        yield database
    finally:
        await database.close()
