"""Organizations that several make at once."""

import asyncio

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Conflict
from usina.kernel.tenancy.gate import Gate
from usina.kernel.tenancy.service import CreatedOrganization, Tenancy
from usina.kernel.tenancy.table import api_keys, memberships, organizations, users


async def test_of_two_that_take_a_name_at_once_one_is_told_that_it_is_taken(
    database: Database,
) -> None:
    made = await asyncio.gather(
        *(Tenancy(database).create_organization("plant") for _ in range(4)), return_exceptions=True
    )
    [created] = [one for one in made if isinstance(one, CreatedOrganization)]
    refused = [one.code for one in made if isinstance(one, Conflict)]
    assert refused == ["name_taken"] * 3
    caller = await Gate(database).by_key(created.api_key)
    assert caller is not None
    assert caller.organization_id == created.organization_id


async def test_platforms_that_start_at_once_make_one_first_organization(
    database: Database,
) -> None:
    key = "first-superuser-key-of-a-test"
    reports = await asyncio.gather(
        *(Tenancy(database).seed("ada", "correct horse", key) for _ in range(3))
    )
    assert len({report.organization_id for report in reports}) == 1
    assert sorted(len(report.changes) for report in reports) == [0, 0, 3]
    for table in (organizations, users, memberships, api_keys):
        count = sa.select(sa.func.count()).select_from(table)
        assert await database.read(lambda tx, c=count: tx.execute(c).scalar_one()) == 1
