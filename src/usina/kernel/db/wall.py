"""Row-level security on PostgreSQL: a second wall between organizations, behind the tenant filter.

Every transaction acts as one of two roles. ``usina_request`` works for one organization and is
under the policies: what lacks the filter still shows and changes nothing of another one.
``usina_engine`` is for what is across organizations by nature. Neither can log in; who connects is
a member of both. The wall is built from the catalogue after every upgrade, so that a new table with
an ``organization_id``, or one that hangs on a job, is behind it without a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

REQUEST: Final = "usina_request"
ENGINE: Final = "usina_engine"
TENANT: Final = "usina.organization_id"
"""The setting that names the organization of a transaction."""

_READ_BY_ALL: Final = frozenset({"queues", "workers"})
"""They belong to nobody, and tell a caller why a job waits."""

_OWNER: Final = f"NULLIF(current_setting('{TENANT}', true), '')::uuid"
_RIGHTS: Final = "SELECT, INSERT, UPDATE, DELETE"
_STANDS: Final = (
    "SELECT has_table_privilege(:engine, c.oid, 'DELETE')"
    " AND (NOT :readable OR has_table_privilege(:request, c.oid, 'SELECT'))"
    " AND (NOT :walled OR relrowsecurity AND relforcerowsecurity AND 2 = (SELECT count(*)"
    " FROM pg_policy WHERE polrelid = c.oid AND polname IN ('engine', 'tenant')))"
    " FROM pg_class c WHERE c.oid = to_regclass(:name)"
)


_CLOSED: Final = {
    "SCHEMA": "SELECT role, 'USAGE', quote_ident(current_schema())"
    " FROM (VALUES (:request), (:engine)) AS wanted (role)"
    " WHERE NOT has_schema_privilege(role, current_schema(), 'USAGE')",
    "SEQUENCE": "SELECT role, right_, relname FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid,"
    " (VALUES (:request, 'USAGE'), (:engine, 'UPDATE')) AS wanted (role, right_)"
    " WHERE relnamespace = current_schema()::regnamespace AND pg_has_role(relowner, 'USAGE')"
    " AND NOT has_sequence_privilege(role, seqrelid, right_)",
    "FUNCTION": "SELECT role, 'EXECUTE', proname FROM pg_proc, (VALUES (:engine)) AS wanted (role)"
    r" WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'usina\_%'"
    " AND pg_has_role(proowner, 'USAGE')"
    " AND NOT has_function_privilege(role, pg_proc.oid, 'EXECUTE')",
}
"""By kind, what a role may not use yet: the role, its right and the name."""


class RolesMissing(Exception):
    """The roles are not there, or the one that connects may not act as them."""

    def __init__(self, login: str | None = None) -> None:
        to = f'"{login}"' if login else "the role that connects"
        super().__init__(
            f"On this server the roles {REQUEST} and {ENGINE} are missing or {to} may not act as"
            " them. Run `usina db upgrade`; where its role may not create roles, an administrator"
            " of the server runs first:\n"
            f"  CREATE ROLE {REQUEST} NOLOGIN;\n"
            f"  CREATE ROLE {ENGINE} NOLOGIN;\n"
            f"  GRANT {REQUEST}, {ENGINE} TO {to};"
        )


@dataclass(frozen=True, slots=True)
class _Table:
    """``tenancy`` is the condition by which a row is an organization's; null for nobody's."""

    name: str
    tenancy: str | None


def build(connection: sa.Connection) -> None:
    """Puts what the role that connects owns behind the wall; does nothing where it stands."""
    _ensure_roles(connection)
    for statement in _statements(connection):
        connection.exec_driver_sql(statement)


def _ensure_roles(connection: sa.Connection) -> None:
    """Roles are the server's: another database of it may have made them, or makes them just now."""
    login: str = connection.exec_driver_sql("SELECT current_user").scalar_one()
    for role in (REQUEST, ENGINE):
        if not _scalar(connection, "SELECT to_regrole(:role) IS NOT NULL", role=role):
            _attempt(connection, f"CREATE ROLE {role} NOLOGIN", login)
        if not _scalar(connection, "SELECT pg_has_role(:role, 'USAGE')", role=role):
            _attempt(connection, f"GRANT {role} TO CURRENT_USER", login)


def _attempt(connection: sa.Connection, statement: str, login: str) -> None:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(
                f"DO $$ BEGIN {statement};"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
    except ProgrammingError as error:
        raise RolesMissing(login) from error


def _tables(connection: sa.Connection) -> Iterator[_Table]:
    """What the role that connects owns; partitions are reached through their table alone."""
    columns = sa.text(
        "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition AND pg_has_role(c.relowner, 'USAGE')"
        " GROUP BY c.relname ORDER BY c.relname"
    )
    for name, found in connection.execute(columns).all():
        if name == "organizations":
            yield _Table(name, f"id = {_OWNER}")
        elif "organization_id" in found:
            yield _Table(name, f"organization_id = {_OWNER}")
        elif "job_id" in found:
            of_its_job = f"EXISTS (SELECT FROM jobs WHERE jobs.id = {name}.job_id)"
            yield _Table(name, of_its_job)
        else:
            yield _Table(name, None)


def _stands(connection: sa.Connection, table: _Table) -> bool:
    return _scalar(
        connection,
        _STANDS,
        engine=ENGINE,
        request=REQUEST,
        name=table.name,
        walled=table.tenancy is not None,
        readable=table.tenancy is not None or table.name in _READ_BY_ALL,
    )


def _statements(connection: sa.Connection) -> Iterator[str]:
    for table in _tables(connection):
        if not _stands(connection, table):
            yield f"GRANT {_RIGHTS} ON {table.name} TO {ENGINE}"
            if table.tenancy is not None:
                yield f"GRANT {_RIGHTS} ON {table.name} TO {REQUEST}"
                yield from _policies(table.name, table.tenancy)
            elif table.name in _READ_BY_ALL:
                yield f"GRANT SELECT ON {table.name} TO {REQUEST}"
    for kind, query in _CLOSED.items():
        for role, right, name in connection.execute(
            sa.text(query), {"engine": ENGINE, "request": REQUEST}
        ):
            yield f"GRANT {right} ON {kind} {name} TO {role}"


def _policies(name: str, tenancy: str) -> Iterator[str]:
    yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"
    for policy, role, condition in (("tenant", REQUEST, tenancy), ("engine", ENGINE, "true")):
        yield f"DROP POLICY IF EXISTS {policy} ON {name}"
        yield f"CREATE POLICY {policy} ON {name} TO {role} USING ({condition})"


def _scalar(connection: sa.Connection, query: str, **values: str | bool) -> bool:
    return bool(connection.execute(sa.text(query), values).scalar_one())
