"""Webhooks over HTTP, on both profiles: endpoints, secrets, deliveries, and what is told."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.http.conftest import Api, Running
from tests.identity.people import make_key
from tests.webhooks.receiver import Receiver, answers, receiver
from usina.kernel.tenancy.permission import Role
from usina_client import verify_webhook

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESS = "/api/v1/webhooks"
URL = "https://hooks.example.org/usina"


async def make(api: Api, url: str = URL, **fields: Any) -> dict[str, Any]:
    answer = await api.post(ADDRESS, json={"url": url} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def secret(api: Api, below: str = "") -> str:
    return (await api.get(f"{ADDRESS}{below}/secret")).json()["secret"]


async def delivery(api: Api, delivery_id: str, **until: Any) -> dict[str, Any]:
    """The delivery once its document says so."""
    async with asyncio.timeout(20):
        while True:
            found = (await api.get(f"{ADDRESS}/deliveries/{delivery_id}")).json()
            if all(found[key] == value for key, value in until.items()):
                return found
            await asyncio.sleep(0.05)


async def told(there: Receiver, count: int = 1) -> dict[str, Any]:
    request = (await there.wait(count))[count - 1]
    return request.told


async def test_an_endpoint_is_made_and_found(api: Api) -> None:
    answer = await api.post(ADDRESS, json={"url": URL})
    made = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{ADDRESS}/{made['id']}"
    assert made == {
        "id": made["id"],
        "url": URL,
        "event_types": ["job.succeeded", "job.failed", "job.cancelled"],
        "description": "",
        "enabled": True,
        "own_secret": False,
        "created_at": made["created_at"],
        "failing_since": None,
        "disabled_at": None,
        "disabled_reason": None,
    }
    assert (await api.get(f"{ADDRESS}/{made['id']}/")).json() == made
    assert (await api.get(ADDRESS)).json() == {"items": [made], "next_cursor": None}


async def test_the_same_key_makes_one(api: Api) -> None:
    headers = {"idempotency-key": "once"}
    first = await api.post(ADDRESS, json={"url": URL}, headers=headers)
    again = await api.post(ADDRESS, json={"url": URL}, headers=headers)
    assert (first.json(), first.status_code) == (again.json(), again.status_code)
    assert len((await api.get(ADDRESS)).json()["items"]) == 1
    test = f"{ADDRESS}/{first.json()['id']}/test"
    tried = [(await api.post(test, headers=headers)).json()["id"] for _ in range(2)]
    assert tried[0] == tried[1]


async def test_the_newest_come_first(api: Api) -> None:
    ids = [(await make(api, description=f"number {n}"))["id"] for n in range(3)]
    page = (await api.get(f"{ADDRESS}?limit=2")).json()
    assert [each["id"] for each in page["items"]] == [ids[2], ids[1]]
    rest = (await api.get(f"{ADDRESS}?limit=2&cursor={page['next_cursor']}")).json()
    assert [each["id"] for each in rest["items"]] == [ids[0]]


async def test_a_put_replaces_the_whole_of_it(api: Api) -> None:
    made = await make(api, event_types=["job.queued"], description="orders")
    address = f"{ADDRESS}/{made['id']}"
    off = (await api("PUT", address, json={"url": URL, "enabled": False})).json()
    assert (off["description"], off["enabled"]) == ("", False)
    assert off["event_types"][0] == "job.succeeded", "what is left out has its default again"
    assert off["disabled_at"] is not None
    on = (await api("PUT", address, json={"url": f"{URL}/2"})).json()
    assert (on["url"], on["enabled"], on["disabled_at"]) == (f"{URL}/2", True, None)
    assert (await api("DELETE", address)).status_code == 204
    assert (await api.get(address)).status_code == 404
    assert (await api("DELETE", address)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"url": None}, "validation_failed", "/url"),
        ({"url": "hooks.example.org"}, "validation_failed", "/url"),
        ({"url": "https://u:p@hooks.example.org"}, "validation_failed", "/url"),
        ({"url": "http://169.254.169.254/latest"}, "address_not_allowed", "/url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "address_not_allowed", "/url"),
        ({"event_types": []}, "validation_failed", "/event_types"),
        ({"event_types": ["job.succeeded", "job.dies"]}, "validation_failed", "/event_types/1"),
        ({"event_types": ["job.failed"] * 2}, "validation_failed", "/event_types/1"),
        ({"event_types": "job.failed"}, "validation_failed", "/event_types"),
        ({"description": "d" * 201}, "validation_failed", "/description"),
        ({"description": "a\u0000b"}, "validation_failed", "/description"),
        ({"enabled": "yes"}, "validation_failed", "/enabled"),
        ({"secret": "whsec_x"}, "unknown_field", "/secret"),
    ],
)
async def test_what_can_be_none_is_refused_at_its_place(
    api: Api, fields: dict[str, Any], code: str, pointer: str
) -> None:
    answer = await api.post(ADDRESS, json={"url": URL} | fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await api.get(ADDRESS)).json()["items"] == []


async def test_a_misspelt_type_is_understood(api: Api) -> None:
    answer = await api.post(ADDRESS, json={"url": URL, "event_types": ["job.suceeded"]})
    assert "job.succeeded" in answer.json()["detail"]


async def test_there_are_not_more_endpoints_than_anybody_needs(api: Api) -> None:
    for _ in range(100):
        await make(api)
    answer = await api.post(ADDRESS, json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_endpoints")


async def test_a_job_tells_its_callback_and_the_receiver_can_trust_it(api: Api) -> None:
    async with receiver() as there:
        params = {"artifacts": 1, "artifact_bytes": 5000}
        job = await api.finished(params=params, callback_url=there.url)
        [request] = await there.wait(1)
    event = verify_webhook(request.headers, request.body, await secret(api))
    assert (event.type, event.id) == ("job.succeeded", request.id)
    now = (await api.get(f"/api/v1/jobs/{job['id']}")).json()
    said = request.told["data"]
    links = [artifact.pop("url") for artifact in said["artifacts"]]
    assert [artifact.pop("url") for artifact in now["artifacts"]] != []
    assert said == now, "the body is the job as GET shows it"
    for link in links:
        assert (await api.client.get(link)).status_code == 200, "good without a key"


async def test_a_batch_and_a_form_have_callbacks_too(api: Api) -> None:
    async with receiver() as there:
        one = {"model": "echo-v1", "callback_url": there.url}
        batch = await api.post("/api/v1/jobs/batch", json={"jobs": [one, one | {"params": {}}]})
        assert batch.status_code == 202, batch.text
        parts = {name: (None, value) for name, value in one.items()}
        form = await api.post("/api/v1/jobs", files=parts)
        assert form.status_code == 202, form.text
        ids = [job["id"] for job in batch.json()["items"]] + [form.json()["id"]]
        requests = await there.wait(3)
        assert sorted(r.told["data"]["id"] for r in requests) == sorted(ids)


async def test_an_endpoint_hears_a_jobs_life(api: Api) -> None:
    async with receiver() as there:
        types = ["job.queued", "job.running", "job.artifact", "job.succeeded"]
        await make(api, there.url, event_types=types)
        job = await api.finished(params={"artifact_bytes": 10})
        requests = await there.wait(5)
    heard = [request.told["type"] for request in requests]
    assert heard == [*types[:2], "job.artifact", "job.artifact", "job.succeeded"]
    assert {request.told["data"]["id"] for request in requests} == {job["id"]}
    log = (await api.get(f"/api/v1/jobs/{job['id']}/events")).json()["items"]
    moments = {event["at"] for event in log}
    assert {request.told["timestamp"] for request in requests} <= moments


async def test_a_job_that_is_deleted_at_once_is_told_all_the_same(api: Api) -> None:
    async with receiver() as there:
        await make(api, there.url)
        job = await api.finished()
        assert (await api("DELETE", f"/api/v1/jobs/{job['id']}")).status_code == 204
        assert (await told(there))["data"]["id"] == job["id"]


async def test_a_test_event_shows_what_the_receiver_says(api: Api) -> None:
    async with receiver(answers(418, b"short and stout")) as there:
        made = await make(api, there.url, description="pot")
        answer = await api.post(f"{ADDRESS}/{made['id']}/test")
        assert answer.status_code == 202, answer.text
        sent = answer.json()
        assert (sent["type"], sent["status"], sent["attempt_count"]) == (
            "webhook.test",
            "pending",
            0,
        )
        event = await told(there)
        assert (event["type"], event["data"]["description"]) == ("webhook.test", "pot")
        found = await delivery(api, sent["id"], status="failed")
    assert found["next_attempt_at"] is None, "it is tried once"
    [attempt] = found["attempts"]
    assert attempt == found["last_attempt"]
    assert (attempt["status_code"], attempt["answer"]) == (418, "short and stout")
    assert attempt["error"] == {"code": "status", "message": "It answered 418."}
    assert 0 <= attempt["duration_seconds"] < 15
    assert found["body"] == event
    assert (await api.get(f"{ADDRESS}/{made['id']}")).json()["failing_since"] is None


async def test_deliveries_are_listed_narrowed_and_replayed(api: Api) -> None:
    async with receiver() as there:
        made = await make(api, f"{there.url}/endpoint")
        job = await api.finished(callback_url=there.url)
        await there.wait(2)
        other = await api.finished(params={"fail": "invalid_input"})
        await there.wait(3)
        async with asyncio.timeout(10):
            while (await api.get(f"{ADDRESS}/deliveries?status=pending")).json()["items"]:
                await asyncio.sleep(0.05)
        listed = (await api.get(f"{ADDRESS}/deliveries")).json()["items"]
        created = [datetime.fromisoformat(each["created_at"]) for each in listed]
        assert created == sorted(created, reverse=True)
        for query, count in (
            (f"endpoint_id={made['id']}", 2),
            (f"job_id={job['id']}", 2),
            (f"job_id={other['id']}", 1),
            ("type=job.failed", 1),
            ("status=delivered", 3),
            ("status=failed&status=pending", 0),
            (f"endpoint_id={made['id']}&type=job.succeeded", 1),
            ("created_after=2100-01-01T00:00:00Z", 0),
            ("endpoint_id=none", 0),
            ("job_id=1", 0),
        ):
            found = (await api.get(f"{ADDRESS}/deliveries?{query}")).json()["items"]
            assert len(found) == count, query
        page = (await api.get(f"{ADDRESS}/deliveries?limit=2")).json()
        rest = f"{ADDRESS}/deliveries?limit=2&cursor={page['next_cursor']}"
        assert page["items"] + (await api.get(rest)).json()["items"] == listed
        again = await api.post(f"{ADDRESS}/deliveries/{listed[0]['id']}/replay")
        assert (again.status_code, again.json()["status"]) == (202, "pending")
        assert (await there.wait(4))[3].id == listed[0]["id"]
        assert (await delivery(api, listed[0]["id"], status="delivered"))["attempt_count"] == 2


@pytest.mark.parametrize(
    "query", ["state=x", "status=gone", "limit=0", "created_after=now", "cursor=abc"]
)
async def test_filters_are_strict(api: Api, query: str) -> None:
    assert (await api.get(f"{ADDRESS}/deliveries?{query}")).status_code == 422


async def test_a_rotated_secret_signs_beside_the_one_before(api: Api) -> None:
    before = await secret(api)
    assert await secret(api) == before
    async with receiver() as there:
        made = await make(api, there.url)
        rotated = await api.post(f"{ADDRESS}/secret/rotate")
        assert rotated.headers["cache-control"] == "no-store"
        assert rotated.json()["secret"] == await secret(api) != before
        assert rotated.json()["previous_valid_until"] is not None
        await api.post(f"{ADDRESS}/{made['id']}/test")
        [request] = await there.wait(1)
        assert request.signed_by(before)
        assert request.signed_by(await secret(api))
        await api.post(f"{ADDRESS}/secret/rotate")
        await api.post(f"{ADDRESS}/{made['id']}/test")
        request = (await there.wait(2))[1]
        assert not request.signed_by(before), "two rotations, and it is dead"


async def test_an_endpoint_may_have_a_secret_of_its_own(api: Api) -> None:
    async with receiver() as there:
        plain = await make(api, f"{there.url}/plain")
        own = await make(api, f"{there.url}/own", own_secret=True)
        assert await secret(api, f"/{plain['id']}") == await secret(api)
        mine = await secret(api, f"/{own['id']}")
        assert mine != await secret(api)
        assert (plain["own_secret"], own["own_secret"]) == (False, True)
        for each in (plain, own):
            await api.post(f"{ADDRESS}/{each['id']}/test")
        by_path = {request.path: request for request in await there.wait(2)}
        assert by_path["/hook/plain"].signed_by(await secret(api))
        assert by_path["/hook/own"].signed_by(mine)
        assert not by_path["/hook/own"].signed_by(await secret(api))
        given = (await api.post(f"{ADDRESS}/{plain['id']}/secret/rotate")).json()
        assert given["previous_valid_until"] is None
        assert (await api.get(f"{ADDRESS}/{plain['id']}")).json()["own_secret"] is True


async def test_no_secret_is_anywhere_else(api: Api) -> None:
    made = await make(api, own_secret=True)
    texts = [
        (await api.get(path)).text
        for path in (ADDRESS, f"{ADDRESS}/{made['id']}", f"{ADDRESS}/deliveries", "/api/v1/events")
    ]
    assert not any("whsec_" in text for text in texts)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "{endpoint}"),
        ("PUT", "{endpoint}"),
        ("DELETE", "{endpoint}"),
        ("POST", "{endpoint}/test"),
        ("GET", "{endpoint}/secret"),
        ("POST", "{endpoint}/secret/rotate"),
        ("GET", "deliveries/{delivery}"),
        ("POST", "deliveries/{delivery}/replay"),
    ],
)
async def test_anothers_ids_answer_as_unknown_ones(
    api: Api, other: Api, method: str, path: str
) -> None:
    made = await make(api)
    sent = (await api.post(f"{ADDRESS}/{made['id']}/test")).json()
    body = {"json": {"url": URL}} if method == "PUT" else {}
    answers = [
        await other(
            method, f"{ADDRESS}/{path.format(endpoint=endpoint, delivery=delivery)}", **body
        )
        for endpoint, delivery in (
            (made["id"], sent["id"]),
            ("01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e",) * 2,
            ("x", "x"),
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    bodies = [answer.json() for answer in answers]
    for each in bodies:
        del each["instance"], each["request_id"]
    assert bodies[0] == bodies[1] == bodies[2]
    assert (await other.get(f"{ADDRESS}/deliveries")).json()["items"] == []
    assert (await api.get(f"{ADDRESS}/{made['id']}")).json()["enabled"] is True


@pytest.mark.parametrize(
    ("role", "looks", "changes"),
    [(Role.VIEWER, 403, 403), (Role.MEMBER, 200, 403), (Role.ADMIN, 200, 200)],
)
async def test_each_role_may_what_the_table_says(
    running: Running, api: Api, role: Role, looks: int, changes: int
) -> None:
    """Who looks at a secret could speak for the platform, so that is changing, too."""
    made = await make(api)
    organization_id = api.caller.organization_id
    key = await make_key(running.platform.database, organization_id, role=role.value)
    someone = await running.with_key(key)
    paths = (ADDRESS, f"{ADDRESS}/{made['id']}", f"{ADDRESS}/deliveries")
    assert {(await someone.get(path)).status_code for path in paths} == {looks}
    body = {"json": {"url": URL}}
    deeds = (
        await someone.get(f"{ADDRESS}/secret"),
        await someone.get(f"{ADDRESS}/{made['id']}/secret"),
        await someone.post(f"{ADDRESS}/secret/rotate"),
        await someone("PUT", f"{ADDRESS}/{made['id']}", **body),
    )
    assert {answer.status_code for answer in deeds} == {changes}
    for path in (f"{ADDRESS}/{made['id']}/test", ADDRESS):
        assert (await someone.post(path, **body)).is_success is (changes == 200)


async def test_without_a_key_there_is_nothing(api: Api) -> None:
    for path in (ADDRESS, f"{ADDRESS}/secret", f"{ADDRESS}/deliveries"):
        assert (await api.client.get(path)).status_code == 401
