"""Who may do what: the one table of roles, scopes and permissions.

A caller has what its role gives and, if it is a key, no more than its scopes let through. Steering
the platform itself is for owners and admins of its first organization.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Role(StrEnum):
    """What a member, or a key without a maker, is in its organization; the least first."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        return list(Role).index(self)


class Permission(StrEnum):
    """What a route asks for. ``read`` looks, ``write`` makes, changes and deletes."""

    PLATFORM_READ = "platform:read"
    """The catalogue of models, and how busy workers and queues are."""
    JOBS_READ = "jobs:read"
    """Jobs with their events, logs and artifacts."""
    JOBS_WRITE = "jobs:write"
    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    SCHEDULES_READ = "schedules:read"
    SCHEDULES_WRITE = "schedules:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    """Endpoints, their secrets, replays: where an organization's results are sent."""
    APPS_READ = "apps:read"
    """What the rooms keep beside jobs: customers, beds, pipelines, devices."""
    APPS_WRITE = "apps:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    """One's own keys; everybody's with ``organization:admin``."""
    ORGANIZATION_READ = "organization:read"
    """Its name, quotas, use and members."""
    ORGANIZATION_ADMIN = "organization:admin"
    """Quotas, retention, members, invitations."""
    AUDIT_READ = "audit:read"
    PLATFORM_OPERATE = "platform:operate"
    """Queues and workers, which belong to nobody: pause, resume, drain."""

    @property
    def area(self) -> str:
        return self.value.partition(":")[0]


EVERYTHING: Final = "all"
"""The scope of a key that may whatever its maker may."""

_VIEWER: Final = frozenset(
    {
        Permission.PLATFORM_READ,
        Permission.JOBS_READ,
        Permission.FILES_READ,
        Permission.SCHEDULES_READ,
        Permission.APPS_READ,
        Permission.ORGANIZATION_READ,
    }
)
_MEMBER: Final = _VIEWER | {
    Permission.JOBS_WRITE,
    Permission.FILES_WRITE,
    Permission.SCHEDULES_WRITE,
    Permission.WEBHOOKS_READ,
    Permission.APPS_WRITE,
    Permission.KEYS_READ,
    Permission.KEYS_WRITE,
}
_ADMIN: Final = _MEMBER | {
    Permission.WEBHOOKS_WRITE,
    Permission.ORGANIZATION_ADMIN,
    Permission.AUDIT_READ,
}
ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN,
}
"""An owner may what an admin may, and alone makes and unmakes owners."""

_OPERATORS: Final = frozenset({Role.ADMIN, Role.OWNER})


def _let_through(permission: Permission) -> frozenset[Permission]:
    """Who may change a thing with a scope may look at it."""
    if permission.value.endswith(":read"):
        return frozenset({permission})
    return frozenset({permission, Permission(f"{permission.area}:read")})


SCOPES: Final[Mapping[str, frozenset[Permission]]] = {
    EVERYTHING: frozenset(Permission),
    **{permission.value: _let_through(permission) for permission in Permission},
}
"""Each permission's name is a scope."""


@lru_cache(maxsize=4096)
def permissions_of(role: Role, scopes: tuple[str, ...], *, first: bool) -> frozenset[Permission]:
    """What a caller may; ``first`` says that its organization is the platform's first."""
    operates = {Permission.PLATFORM_OPERATE} if first and role in _OPERATORS else set[Permission]()
    return (ROLES[role] | operates) & through(scopes)


def through(scopes: Iterable[str]) -> frozenset[Permission]:
    """All that the scopes let through together; one that is unknown lets nothing through."""
    return frozenset[Permission]().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))
