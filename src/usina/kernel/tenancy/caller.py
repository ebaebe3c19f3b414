"""Who is calling, and the one filter that follows from it."""

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; everything it sees or makes belongs to its organization.

    An ``operator`` may steer what belongs to the platform: workers and queues.
    """

    organization_id: str
    key_id: str | None
    user_id: str | None = None
    operator: bool = False


def owned_by(
    organization_id: str | sa.BindParameter[str], table: sa.FromClause
) -> sa.ColumnElement[bool]:
    """The tenant filter: every read and change on behalf of a caller passes through here."""
    return table.c.organization_id == organization_id
