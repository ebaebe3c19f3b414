"""The schema's history, written for SQLite and PostgreSQL alike.

``HEAD`` is the newest revision: a database that is there already starts without loading Alembic.
"""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from usina.kernel.db import wall

HEAD: Final = "0021"


def revision_of(database: sa.Engine | sa.Connection) -> str | None:
    """The revision that a database is at; null for an empty one."""
    if isinstance(database, sa.Engine):
        with database.connect() as connection:
            return revision_of(connection)
    if not sa.inspect(database).has_table("alembic_version"):
        return None
    return database.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: sa.Engine) -> None:
    """Brings the database to ``HEAD`` in one transaction; does nothing when it is there."""
    if revision_of(engine) != HEAD:
        with engine.begin() as connection:
            upgrade_on(connection)


def upgrade_on(connection: sa.Connection, revision: str = HEAD) -> None:
    """The same in the transaction of the connection, which its owner commits.

    On PostgreSQL it also puts right what lacks of the wall between organizations.
    """
    if revision_of(connection) != revision:
        _run_revisions(connection, revision)
    if connection.dialect.name == "postgresql":
        wall.build(connection)


def _run_revisions(connection: sa.Connection, revision: str) -> None:
    from alembic import command  # loading it costs more than a start may
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
