"""The table of roles and scopes, as the reference tells it."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from usina.kernel.errors import Forbidden
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.permission import EVERYTHING, SCOPES, Permission, Role, permissions_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "identity.md"


@pytest.mark.parametrize("role", Role)
def test_a_role_gives_what_the_reference_says(role: Role) -> None:
    lines = re.findall(r"^\| `([a-z]+:[a-z]+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    told = {name: [cell.strip() for cell in cells.split("|")] for name, cells in lines}
    assert set(told) == {permission.value for permission in Permission}
    given = {name for name, cells in told.items() if cells[list(Role).index(role) + 1] == "yes"}
    assert given == {each.value for each in permissions_of(role, (EVERYTHING,), first=False)}


def test_each_role_may_all_that_the_one_below_it_may() -> None:
    given = [permissions_of(role, (EVERYTHING,), first=False) for role in Role]
    assert all(less <= more for less, more in pairwise(given))


def test_only_owners_and_admins_of_the_first_organization_operate() -> None:
    operate = {
        (role, first)
        for role in Role
        for first in (True, False)
        if Permission.PLATFORM_OPERATE in permissions_of(role, (EVERYTHING,), first=first)
    }
    assert operate == {(Role.ADMIN, True), (Role.OWNER, True)}


def test_a_scope_narrows_and_never_widens() -> None:
    for role in Role:
        for scope in SCOPES:
            narrow = permissions_of(role, (scope,), first=True)
            assert narrow <= permissions_of(role, (EVERYTHING,), first=True)
    assert permissions_of(Role.OWNER, ("jobs:write",), first=True) == {
        Permission.JOBS_READ,
        Permission.JOBS_WRITE,
    }
    assert permissions_of(Role.OWNER, ("of:tomorrow",), first=True) == frozenset()
    assert permissions_of(Role.OWNER, (), first=True) == frozenset()


def test_a_refusal_says_what_is_missing() -> None:
    key = Caller("o", "k", role=Role.MEMBER, scopes=("files:read",))
    with pytest.raises(Forbidden, match=r"jobs:write.*files:read.*member"):
        key.require(Permission.JOBS_WRITE)
    person = Caller("o", None, "u", role=Role.VIEWER)
    with pytest.raises(Forbidden, match=r"jobs:write.*viewer"):
        person.require(Permission.JOBS_WRITE)
