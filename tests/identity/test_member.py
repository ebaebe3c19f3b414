"""Members and invitations."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from tests.identity.conftest import PASSWORD, Person, Running, log_in, register
from usina.kernel.tenancy.table import invitations

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def invited(owner: Person, role: str, **more: Any) -> Person:
    """A new member of the owner's organization."""
    invitation = await owner.post("/invitations", {"role": role, **more})
    return await register(owner.client, invitation=invitation["token"])


async def id_of(person: Person) -> str:
    return (await person.get("/auth/me"))["id"]


async def test_who_registers_by_an_invitation_is_a_member(running: Running, owner: Person) -> None:
    invitation = await owner.post("/invitations", {"role": "member"})
    assert invitation["invited_by"] == owner.email
    [shown] = (await owner.get("/invitations"))["items"]
    assert shown == {key: value for key, value in invitation.items() if key != "token"}
    rows = await running.platform.database.read(
        lambda tx: str(tx.execute(sa.select(invitations)).all())
    )
    assert invitation["token"] not in rows
    member = await register(owner.client, invitation=invitation["token"])
    who = await member.get("/auth/me")
    assert who["role"] == "member"
    assert who["organization"] == (await owner.get("/auth/me"))["organization"]
    assert (await owner.get("/invitations"))["items"] == []
    listed = (await owner.get("/members"))["items"]
    assert {one["email"]: one["role"] for one in listed} == {
        owner.email: "owner",
        member.email: "member",
    }
    assert (await member.get("/members"))["items"] == listed
    again = await owner.client.post(
        "/api/v1/auth/register",
        json={"email": "late@example.org", "password": PASSWORD, "invitation": invitation["token"]},
    )
    assert (again.status_code, again.json()["code"]) == (422, "invitation_invalid")


async def test_who_is_logged_in_accepts_and_chooses_where_to_log_in(
    running: Running, owner: Person
) -> None:
    guest = await register(running.anyone)
    home = (await guest.get("/auth/me"))["organization"]
    token = (await owner.post("/invitations", {"role": "viewer", "email": guest.email}))["token"]
    joined = await guest.post("/invitations/accept", {"token": token}, 200)
    there = joined["organization"]
    assert (joined["role"], there["id"] != home["id"]) == ("viewer", True)
    assert (await guest.get("/auth/me"))["organization"] == home
    assert (await (await guest.again()).get("/auth/me"))["organization"] == home
    visiting = await guest.again(organization=there["id"])
    assert (await visiting.get("/auth/me"))["organization"] == there
    assert (await visiting("POST", "/jobs", json={"model": "echo-v1"})).status_code == 403
    more = (await owner.post("/invitations", {"role": "viewer"}))["token"]
    twice = await guest("POST", "/invitations/accept", json={"token": more})
    assert (twice.status_code, twice.json()["code"]) == (409, "member_already")


async def test_an_invitation_is_for_its_address_and_can_be_taken_back(owner: Person) -> None:
    personal = await owner.post("/invitations", {"role": "member", "email": "Eve@Example.org"})
    assert personal["email"] == "eve@example.org"
    mallory = await register(owner.client)
    refused = await mallory("POST", "/invitations/accept", json={"token": personal["token"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "invitation_invalid")
    assert (await owner("DELETE", f"/invitations/{personal['id']}")).status_code == 204
    assert (await owner("DELETE", f"/invitations/{personal['id']}")).status_code == 404
    body = {"email": "eve@example.org", "password": PASSWORD, "invitation": personal["token"]}
    late = await owner.client.post("/api/v1/auth/register", json=body)
    assert (late.status_code, late.json()["code"]) == (422, "invitation_invalid")


async def test_an_invitation_that_is_over_is_none(running: Running, owner: Person) -> None:
    invitation = await owner.post("/invitations", {"role": "member"})
    past = sa.update(invitations).where(invitations.c.id == invitation["id"])
    await running.platform.database.write(
        lambda tx: tx.execute(past.values(expires_at=tx.now)) and None
    )
    assert (await owner.get("/invitations"))["items"] == []
    guest = await register(running.anyone)
    answer = await guest("POST", "/invitations/accept", json={"token": invitation["token"]})
    assert answer.json()["code"] == "invitation_invalid"


async def test_of_many_who_show_one_token_at_once_one_joins(owner: Person) -> None:
    token = (await owner.post("/invitations", {"role": "member"}))["token"]
    guests = [await register(owner.client) for _ in range(3)]
    answers = await asyncio.gather(
        *(guest("POST", "/invitations/accept", json={"token": token}) for guest in guests)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422]


async def test_a_role_that_changes_holds_at_once(owner: Person) -> None:
    member = await invited(owner, "member")
    key = await member.post("/api-keys", {"name": "of a member"})
    assert (await member("POST", "/jobs", json={"model": "echo-v1"})).status_code == 202
    path = f"/members/{await id_of(member)}"
    changed = await owner("PUT", path, json={"role": "viewer"})
    assert (changed.status_code, changed.json()["role"]) == (200, "viewer")
    assert changed.json()["email"] == member.email
    for headers in ({}, {"x-api-key": key["secret"]}):
        answer = await member("POST", "/jobs", json={"model": "echo-v1"}, headers=headers)
        assert answer.status_code == 403
    [entry] = (await owner.get("/audit?action=member.role_changed"))["items"]
    assert (entry["before"], entry["after"]) == ({"role": "member"}, {"role": "viewer"})


async def test_who_is_removed_is_out_at_once_with_keys_and_sessions(owner: Person) -> None:
    member = await invited(owner, "member")
    key = await member.post("/api-keys", {"name": "of a member"})
    path = f"/members/{await id_of(member)}"
    assert (await owner("DELETE", path)).status_code == 204
    assert (await member("GET", "/auth/me")).status_code == 401
    by_key = await owner.client.get("/api/v1/auth/me", headers={"x-api-key": key["secret"]})
    assert by_key.status_code == 401
    body = {"refresh_token": member.tokens["refresh_token"]}
    refreshed = await owner.client.post("/api/v1/auth/refresh", json=body)
    assert refreshed.status_code == 401
    login = {"email": member.email, "password": PASSWORD}
    assert (await owner.client.post("/api/v1/auth/login", json=login)).status_code == 401
    assert (await owner("DELETE", path)).status_code == 404
    assert [key["name"] for key in (await owner.get("/api-keys"))["items"]] == []


async def test_one_may_leave_but_the_last_owner(owner: Person) -> None:
    viewer = await invited(owner, "viewer")
    assert (await viewer("DELETE", f"/members/{await id_of(viewer)}")).status_code == 204
    mine = f"/members/{await id_of(owner)}"
    for answer in (
        await owner("DELETE", mine),
        await owner("PUT", mine, json={"role": "admin"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    second = await invited(owner, "owner")
    assert (await owner("PUT", mine, json={"role": "admin"})).status_code == 200
    last = await second("DELETE", f"/members/{await id_of(second)}")
    assert (last.status_code, last.json()["code"]) == (409, "last_owner")


async def test_of_two_owners_who_leave_at_once_one_stays(owner: Person) -> None:
    second = await invited(owner, "owner")
    pair = [(person, await id_of(person)) for person in (owner, second)]
    answers = await asyncio.gather(
        *(person("DELETE", f"/members/{user_id}") for person, user_id in pair)
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_nobody_gives_or_takes_more_than_he_has(owner: Person) -> None:
    admin, member = await invited(owner, "admin"), await invited(owner, "member")
    the_owner, the_admin = await id_of(owner), await id_of(admin)
    for answer in (
        await admin("POST", "/invitations", json={"role": "owner"}),
        await admin("PUT", f"/members/{the_admin}", json={"role": "owner"}),
        await admin("PUT", f"/members/{the_owner}", json={"role": "viewer"}),
        await admin("DELETE", f"/members/{the_owner}"),
        await member("POST", "/invitations", json={"role": "viewer"}),
        await member("PUT", f"/members/{the_admin}", json={"role": "viewer"}),
        await member("DELETE", f"/members/{the_admin}"),
    ):
        assert answer.status_code == 403, answer.text
        assert answer.json()["code"] in {"forbidden", "scope_too_wide"}
    assert (await admin("POST", "/invitations", json={"role": "admin"})).status_code == 201


async def test_strangers_find_nobody(owner: Person) -> None:
    stranger = await register(owner.client)
    theirs = await id_of(owner)
    for method in ("PUT", "DELETE"):
        for user_id in (theirs, "x", theirs.upper()):
            answer = await stranger(method, f"/members/{user_id}", json={"role": "viewer"})
            assert answer.status_code == 404, (method, user_id)
    assert len((await stranger.get("/members"))["items"]) == 1


@pytest.mark.parametrize("role", ["", "root", "OWNER", None, 1, ["owner"]])
async def test_what_is_no_role_is_refused(owner: Person, role: object) -> None:
    for method, path in (("POST", "/invitations"), ("PUT", f"/members/{await id_of(owner)}")):
        answer = await owner(method, path, json={"role": role})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/role"


async def test_the_log_is_read_by_its_filters(owner: Person) -> None:
    member = await invited(owner, "member")
    admin = await invited(owner, "admin")
    everything = (await owner.get("/audit"))["items"]
    assert [entry["action"] for entry in everything] == [
        *("session.opened", "member.joined", "invitation.created"),
        *("session.opened", "member.joined", "invitation.created"),
        *("session.opened", "member.joined", "organization.created"),
    ]
    assert {entry["ip"] for entry in everything} == {"127.0.0.1"}
    assert all(entry["request_id"] for entry in everything)
    whose = await id_of(member)
    by_actor = (await owner.get(f"/audit?actor={whose}"))["items"]
    assert [entry["action"] for entry in by_actor] == ["session.opened", "member.joined"]
    of_subject = (await owner.get(f"/audit?subject_type=member&subject_id={whose}"))["items"]
    assert [entry["action"] for entry in of_subject] == ["member.joined"]
    middle = everything[4]["at"].replace("+", "%2B")
    later = (await owner.get(f"/audit?after={middle}"))["items"]
    sooner = (await owner.get(f"/audit?before={middle}"))["items"]
    assert later == everything[:4]
    assert sooner == everything[5:]
    first = await owner.get("/audit?limit=4")
    rest = await owner.get(f"/audit?limit=200&cursor={first['next_cursor']}")
    assert first["items"] + rest["items"] == everything
    assert (await admin.get("/audit"))["items"] == everything
    assert (await member("GET", "/audit")).status_code == 403
    assert (await owner.get("/audit?actor=x"))["items"] == []
    assert (await owner("GET", "/audit?who=x")).status_code == 422
    assert not [each for each in everything if PASSWORD in str(each)]


async def test_a_person_of_several_organizations_has_one_role_in_each(owner: Person) -> None:
    guest = await register(owner.client)
    token = (await owner.post("/invitations", {"role": "viewer"}))["token"]
    there = (await guest.post("/invitations/accept", {"token": token}, 200))["organization"]["id"]
    tokens = await log_in(owner.client, guest.email, PASSWORD, organization=there)
    visiting = Person(owner.client, guest.email, tokens)
    assert (await visiting("GET", "/audit")).status_code == 403
    assert (await guest("GET", "/audit")).status_code == 200
