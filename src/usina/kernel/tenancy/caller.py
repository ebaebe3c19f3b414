"""Who is calling, and the one filter that follows from it."""

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; everything it sees or makes belongs to its organization."""

    organization_id: str
    key_id: str | None
    user_id: str | None = None


def owned_by(
    organization_id: str | sa.BindParameter[str], table: sa.FromClause
) -> sa.ColumnElement[bool]:
    """The tenant filter: every read and change on behalf of a caller passes through here."""
    return table.c.organization_id == organization_id
