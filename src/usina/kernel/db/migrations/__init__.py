"""The schema's history, written for SQLite and PostgreSQL alike.

``HEAD`` is the newest revision: a database that is there already starts without loading Alembic.
"""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

HEAD: Final = "0004"


def revision_of(engine: sa.Engine) -> str | None:
    """The revision that a database is at; null for an empty one."""
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: sa.Engine) -> None:
    """Brings the database to ``HEAD`` in one transaction; does nothing when it is there."""
    if revision_of(engine) == HEAD:
        return
    from alembic import command  # loading it costs more than a start may
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
