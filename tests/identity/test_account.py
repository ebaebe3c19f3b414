"""Persons: register, log in, refresh, log out, change a password."""

import asyncio
import re
from typing import Any

import pytest

from tests.identity.conftest import PASSWORD, Person, Running, log_in, register

pytestmark = pytest.mark.asyncio(loop_scope="session")
AUTH = "/api/v1/auth"


async def test_a_person_registers_and_is_the_owner_of_a_new_organization(running: Running) -> None:
    body = {"email": " Ada@Example.org".strip(), "password": PASSWORD, "organization": "Ada's"}
    answer = await running.anyone.post(f"{AUTH}/register", json=body)
    assert answer.status_code == 201
    who = answer.json()
    assert (who["email"], who["role"]) == ("ada@example.org", "owner")
    assert who["organization"]["name"] == "Ada's"
    assert "jobs:write" in who["permissions"]
    assert who["operator"] is False
    assert PASSWORD not in answer.text
    ada = Person(
        running.anyone, "ADA@example.org", await log_in(running.anyone, "ADA@example.org", PASSWORD)
    )
    assert await ada.get("/auth/me") == who
    submitted = await ada.post("/jobs", {"model": "echo-v1"}, 202)
    assert (await ada.get(f"/jobs/{submitted['id']}?wait_seconds=30"))["status"] == "SUCCEEDED"


async def test_a_login_answers_what_the_contract_says(owner: Person) -> None:
    assert set(owner.tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert owner.tokens["token_type"] == "bearer"
    assert owner.tokens["expires_in"] == 1800
    by_name = await owner.client.post(
        f"{AUTH}/login", json={"username": owner.email.upper(), "password": PASSWORD}
    )
    assert by_name.status_code == 200
    assert by_name.headers["cache-control"] == "no-store"


async def test_the_second_of_an_address_or_a_name_is_refused(owner: Person) -> None:
    name = (await owner.get("/auth/me"))["organization"]["name"]
    for body, code in (
        ({"email": owner.email.upper(), "organization": "another"}, "email_taken"),
        ({"email": "new@example.org", "organization": name}, "name_taken"),
    ):
        answer = await owner.client.post(f"{AUTH}/register", json={"password": PASSWORD, **body})
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    late = {"email": "new@example.org", "password": PASSWORD}
    refused = await owner.client.post(f"{AUTH}/login", json=late)
    assert refused.status_code == 401, "nothing of a refused register is left"


async def test_of_many_who_register_an_address_at_once_one_does(running: Running) -> None:
    bodies = [
        {"email": "race@example.org", "password": PASSWORD, "organization": f"race {n}"}
        for n in range(4)
    ]
    answers = await asyncio.gather(
        *(running.anyone.post(f"{AUTH}/register", json=body) for body in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": "a b@example.org"}, "/email"),
        ({"email": "a\0@example.org"}, "/email"),
        ({"email": "@"}, "/email"),
        ({"email": "x" * 65 + "@example.org"}, "/email"),
        ({"password": "short"}, "/password"),
        ({"password": "x" * 257}, "/password"),
        ({"password": "with a \0 in it"}, "/password"),
        ({"password": "fresh@example.org"}, "/password"),
        ({"password": 12345678}, "/password"),
        ({"organization": ""}, "/organization"),
        ({"organization": "x" * 201}, "/organization"),
        ({"organization": "a\0b"}, "/organization"),
        ({"organization": None}, "/organization"),
        ({"invitation": "usina_invitation_0"}, "/organization"),
        ({"organization": None, "invitation": "usina_invitation_0"}, "/token"),
        ({"role": "owner"}, "/role"),
    ],
)
async def test_what_is_no_person_is_refused(
    running: Running, change: dict[str, Any], pointer: str
) -> None:
    body = {"email": "fresh@example.org", "password": PASSWORD, "organization": "fresh", **change}
    answer = await running.anyone.post(f"{AUTH}/register", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert body["password"] not in (answer.text if isinstance(body["password"], str) else [])


async def test_whatever_is_wrong_with_a_login_answers_the_same(owner: Person) -> None:
    body = {"email": owner.email, "password": PASSWORD}
    bodies = set[str]()
    for change in (
        {"password": "another password"},
        {"password": ""},
        {"email": "unknown@example.org"},
        {"email": "no address\0"},
        {"organization": "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"},
        {"organization": "none"},
    ):
        answer = await owner.client.post(f"{AUTH}/login", json=body | change)
        assert answer.status_code == 401
        bodies.add(re.sub(r'"request_id":"[^"]+"', "", answer.text))
    assert len(bodies) == 1
    assert "wrong_credentials" in bodies.pop()


async def test_a_refresh_token_is_good_once(owner: Person) -> None:
    first = owner.tokens["refresh_token"]
    second = await owner.post("/auth/refresh", {"refresh_token": first}, 200)
    assert set(second) == set(owner.tokens)
    third = await owner.post("/auth/refresh", {"refresh_token": second["refresh_token"]}, 200)
    assert len({first, second["refresh_token"], third["refresh_token"]}) == 3
    newest = Person(owner.client, owner.email, third)
    assert (await newest.get("/auth/me"))["email"] == owner.email


async def test_a_used_refresh_token_ends_the_whole_family(owner: Person) -> None:
    bystander = await owner.again()
    first = owner.tokens["refresh_token"]
    second = await owner.post("/auth/refresh", {"refresh_token": first}, 200)
    again = await owner.client.post(f"{AUTH}/refresh", json={"refresh_token": first})
    assert (again.status_code, again.json()["code"]) == (401, "refresh_token_reused")
    newer = await owner.client.post(
        f"{AUTH}/refresh", json={"refresh_token": second["refresh_token"]}
    )
    assert (newer.status_code, newer.json()["code"]) == (401, "refresh_token_invalid")
    for tokens in (owner.tokens, second):
        thief = Person(owner.client, owner.email, tokens)
        assert (await thief("GET", "/auth/me")).status_code == 401
    assert (await bystander("GET", "/auth/me")).status_code == 200
    told = await bystander.get("/audit?action=session.revoked")
    assert [entry["after"] for entry in told["items"]] == [
        {"reason": "a refresh token was used twice"}
    ]


async def test_of_two_refreshes_at_once_one_gets_through(owner: Person) -> None:
    body = {"refresh_token": owner.tokens["refresh_token"]}
    answers = await asyncio.gather(
        *(owner.client.post(f"{AUTH}/refresh", json=body) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "usina_refresh_01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e_1_" + "A" * 43,
        "usina_refresh_..._1_x",
        "\0",
        "é" * 100,
    ],
)
async def test_what_is_no_refresh_token_is_refused(running: Running, text: str) -> None:
    answer = await running.anyone.post(f"{AUTH}/refresh", json={"refresh_token": text})
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_invalid")


async def test_an_older_number_under_a_new_name_is_no_token(owner: Person) -> None:
    first = owner.tokens["refresh_token"]
    forged = first.replace("_1_", "_2_")
    answer = await owner.client.post(f"{AUTH}/refresh", json={"refresh_token": forged})
    assert answer.json()["code"] == "refresh_token_invalid"
    assert (await owner("GET", "/auth/me")).status_code == 200, "and it ends nothing"


async def test_a_logout_ends_the_session_at_once(owner: Person) -> None:
    other = await owner.again()
    assert (await owner("POST", "/auth/logout")).status_code == 204
    assert (await owner("GET", "/auth/me")).status_code == 401
    body = {"refresh_token": owner.tokens["refresh_token"]}
    assert (await owner.client.post(f"{AUTH}/refresh", json=body)).status_code == 401
    assert (await other("GET", "/auth/me")).status_code == 200


async def test_one_sees_where_one_is_logged_in_and_ends_it_from_elsewhere(
    running: Running, owner: Person
) -> None:
    lost = await owner.again()
    await register(running.anyone)
    theirs = (await owner.get("/auth/sessions"))["items"]
    assert [one["current"] for one in theirs] == [False, True]
    assert {one["ip"] for one in theirs} == {"127.0.0.1"}
    assert {one["organization"]["id"] for one in theirs} == {
        (await owner.get("/auth/me"))["organization"]["id"]
    }
    path = f"/auth/sessions/{theirs[0]['id']}"

    assert (await owner("DELETE", path)).status_code == 204

    assert (await lost("GET", "/auth/me")).status_code == 401
    body = {"refresh_token": lost.tokens["refresh_token"]}
    assert (await owner.client.post(f"{AUTH}/refresh", json=body)).status_code == 401
    assert [one["id"] for one in (await owner.get("/auth/sessions"))["items"]] == [theirs[1]["id"]]
    for again in (path, "/auth/sessions/nonsense"):
        assert (await owner("DELETE", again)).status_code == 404
    told = (await owner.get("/audit?action=session.closed"))["items"]
    assert [entry["subject"]["id"] for entry in told] == [theirs[0]["id"]]


async def test_a_new_password_ends_the_other_sessions(owner: Person) -> None:
    other = await owner.again()
    body = {"current_password": PASSWORD, "new_password": "a better password"}
    wrong = await owner("PUT", "/auth/password", json=body | {"current_password": "guessed it"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_credentials")
    assert (await owner("PUT", "/auth/password", json=body)).status_code == 204
    assert (await owner("GET", "/auth/me")).status_code == 200
    assert (await other("GET", "/auth/me")).status_code == 401
    old = {"email": owner.email, "password": PASSWORD}
    assert (await owner.client.post(f"{AUTH}/login", json=old)).status_code == 401
    await log_in(owner.client, owner.email, "a better password")


async def test_a_key_has_no_session_to_end_and_no_password_to_change(owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "mine"})
    headers = {"x-api-key": key["secret"]}
    change = {"current_password": PASSWORD, "new_password": "another password"}
    for method, path, body in (
        ("POST", "/auth/logout", None),
        ("PUT", "/auth/password", change),
    ):
        answer = await owner.client.request(method, f"/api/v1{path}", headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "no_session")


async def test_guessing_is_slowed_down_by_account(running: Running) -> None:
    victim = await register(running.anyone)
    body = {"email": victim.email, "password": "a guess that fails"}
    answers = [await running.anyone.post(f"{AUTH}/login", json=body) for _ in range(90)]
    codes = [answer.status_code for answer in answers]
    assert codes == [401] * codes.index(429) + [429] * (90 - codes.index(429))
    assert 50 < codes.index(429) <= 75, "sixty a minute, and a window that slides"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["code"] == "rate_limited"
