"""Who is calling, and the one filter that follows from it."""

from dataclasses import dataclass

import sqlalchemy as sa

from usina.kernel.errors import Forbidden
from usina.kernel.tenancy.permission import EVERYTHING, Permission, Role


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; everything it sees or makes belongs to its organization.

    ``name`` is the user's, or the key's. A key has a ``key_id``, a person's session a
    ``session_id``; a key that was made on the platform's machine has no ``user_id``.
    """

    organization_id: str
    key_id: str | None
    user_id: str | None = None
    session_id: str | None = None
    name: str = ""
    role: Role = Role.VIEWER
    scopes: tuple[str, ...] = (EVERYTHING,)
    permissions: frozenset[Permission] = frozenset()

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raises ``Forbidden`` unless the caller has the permission."""
        if permission not in self.permissions:
            raise Forbidden(_refusal(self, permission))


def _refusal(caller: Caller, permission: Permission) -> str:
    if permission is Permission.PLATFORM_OPERATE and caller.may(Permission.ORGANIZATION_ADMIN):
        return "Workers and queues belong to the platform: use a key of its first organization."
    if caller.key_id is None:
        return f"This needs {permission.value}, which the role {caller.role.value} does not give."
    return (
        f"This needs {permission.value}: neither this key's scopes ({', '.join(caller.scopes)}) nor"
        f" its role ({caller.role.value}) may fall short of it."
    )


def owned_by(
    organization_id: str | sa.BindParameter[str], table: sa.FromClause
) -> sa.ColumnElement[bool]:
    """The tenant filter: every read and change on behalf of a caller passes through here."""
    return table.c.organization_id == organization_id
