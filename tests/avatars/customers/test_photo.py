"""Photos of customers: sent, waited for, listed, followed, refused."""

import io
import json
from typing import Any

import pytest
from PIL import Image

from tests.avatars.customers.conftest import Studio, a_customer
from tests.avatars.program import astronaut, photo
from tests.webhooks.receiver import receiver
from usina.apps.avatars.customer.upkeep import forget_old_photos, release_uploads
from usina.kernel.events.cursor import encode
from usina.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

KEYS = [
    "jobId",
    "customerId",
    "status",
    "originalPhotoUrl",
    "generatedPhotoUrl",
    "error",
    "createdAt",
    "updatedAt",
]
PLACE = b"41.40338, 2.17403"


def with_a_place() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[29] = PLACE.decode()
    lying = astronaut().resize((256, 256)).transpose(Image.Transpose.ROTATE_90)
    return photo(lying, exif=exif)


async def test_from_a_photo_to_two_private_pictures(studio: Studio) -> None:
    name, data = a_customer(), with_a_place()
    assert PLACE in data

    answer = await studio.send(name, data, style="duotone", seed="3")

    assert answer.status_code == 202
    sent = answer.json()
    assert list(sent) == KEYS
    assert (sent["customerId"], sent["status"]) == (name, "PENDING")
    assert sent["originalPhotoUrl"] is sent["generatedPhotoUrl"] is sent["error"] is None
    assert answer.headers["location"] == f"/customers/{name}/photos/{sent['jobId']}/status"
    done = await studio.ended_photo(sent)
    assert done["status"] == "DONE", done
    assert list(done) == KEYS
    for url in (done["originalPhotoUrl"], done["generatedPhotoUrl"]):
        picture = await studio.client.get(url)  # no key: the address is signed
        assert picture.status_code == 200
        assert PLACE not in picture.content
        with Image.open(io.BytesIO(picture.content)) as image:
            assert not image.getexif()
            assert image.size == ((256, 256) if url is done["originalPhotoUrl"] else (512, 512))
        forged = url.replace("signature=", "signature=x")
        assert (await studio.client.get(forged)).status_code == 401


@pytest.mark.parametrize("ending", ["DONE", "FAILED", "CANCELLED"])
async def test_the_upload_goes_whatever_the_end(ending: str, studio: Studio) -> None:
    name, data = a_customer(), photo()
    sent = await studio.sent(name, data[: len(data) // 2] if ending == "FAILED" else data)
    assert any(key.startswith("files/") for key in studio.objects())
    if ending == "CANCELLED":
        await studio.post(f"/api/v1/jobs/{sent['jobId']}/cancel")
    done = await studio.ended_photo(sent)
    if ending == "FAILED":
        assert done["status"] == "FAILED"
        assert "Upload it again whole" in done["error"]
        assert done["generatedPhotoUrl"] is None

    await release_uploads(studio.platform)

    assert not [key for key in studio.objects() if key.startswith("files/")]
    file_id = (await studio.get(f"/api/v1/jobs/{sent['jobId']}")).json()["inputs"]["photo"]
    assert (await studio.get(f"/api/v1/files/{file_id}")).status_code == 404


async def test_a_photo_is_not_called_what_its_sender_called_it(studio: Studio) -> None:
    sent = await studio.sent(a_customer())
    file_id = (await studio.get(f"/api/v1/jobs/{sent['jobId']}")).json()["inputs"]["photo"]

    stored = (await studio.get(f"/api/v1/files/{file_id}")).json()

    assert stored.get("name", "photo") == "photo"  # or it has gone already
    await studio.ended_photo(sent)


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"style": "cubist"}, "/style", "validation_failed"),
        ({"size": "640"}, "/size", "validation_failed"),
        ({"size": "big"}, "/size", "validation_failed"),
        ({"seed": "-1"}, "/seed", "validation_failed"),
        ({"colour": "red"}, "/colour", "unknown_field"),
        ({"callbackUrl": "https://10.0.0.1/x"}, "/callbackUrl", "address_not_allowed"),
        ({"callbackUrl": "ftp://example.org"}, "/callbackUrl", "validation_failed"),
    ],
)
async def test_what_is_wrong_is_named_and_leaves_nothing(
    fields: dict[str, str], pointer: str, code: str, studio: Studio
) -> None:
    name = a_customer()

    answer = await studio.send(name, **fields)

    assert answer.status_code == 422, answer.text
    assert (answer.json()["code"], answer.json()["errors"][0]["pointer"]) == (code, pointer)
    assert studio.objects() == {}
    assert (await studio.get(f"/customers/{name}/photos")).status_code == 404


async def test_a_customer_who_was_there_stays_when_a_photo_is_refused(studio: Studio) -> None:
    name = a_customer()
    await studio("PUT", f"/customers/{name}", json={"retentionDays": 3})
    assert (await studio.send(name, b"just words")).status_code == 422
    assert (await studio.get(f"/customers/{name}/photos")).json()["items"] == []


async def test_what_is_no_photo_is_refused(studio: Studio) -> None:
    path = f"/customers/{a_customer()}"
    words = await studio.send(path.rpartition("/")[2], b"just words\n")
    none = await studio.post(path, files={"style": (None, "oil")})
    two = await studio.post(path, files=[("photo", ("a", photo())), ("photo", ("b", photo()))])
    empty = await studio.send(path.rpartition("/")[2], b"")
    text = await studio.post(path, json={"photo": "x"})

    assert (words.status_code, words.json()["code"]) == (422, "input_media_type")
    assert words.json()["errors"][0]["pointer"] == "/photo"
    assert (none.status_code, none.json()["errors"][0]["pointer"]) == (422, "/photo")
    assert (two.status_code, two.json()["errors"][0]["pointer"]) == (422, "/photo")
    assert (empty.status_code, empty.json()["code"]) == (422, "empty_file")
    assert text.status_code == 415
    assert studio.objects() == {}


@pytest.mark.parametrize("name", ["a" * 129, "maria silva", "maria%2Fsilva", "ação", "a:b"])
async def test_an_id_that_can_be_nobodys_is_not_there(name: str, studio: Studio) -> None:
    assert (await studio.send(name)).status_code == 404
    assert (await studio.get(f"/customers/{name}")).status_code == 404
    assert studio.objects() == {}


async def test_the_same_key_makes_one_avatar(studio: Studio) -> None:
    name, headers = a_customer(), {"idempotency-key": "once"}
    data = photo()

    first = await studio.send(name, data, headers)
    again = await studio.send(name, data, headers)
    other = await studio.send(name, data, headers, style="oil")

    assert first.json() == again.json()
    assert again.headers["location"] == first.headers["location"]
    assert other.json()["code"] == "idempotency_key_reused"
    assert (await studio.get(f"/customers/{name}")).json()["photoCount"] == 1
    await studio.ended_photo(first.json())
    await release_uploads(studio.platform)
    assert not [key for key in studio.objects() if key.startswith("files/")]


async def test_customers_and_their_photos_are_listed_newest_first(studio: Studio) -> None:
    one, two = a_customer(), a_customer()
    first, second = await studio.sent(one), await studio.sent(one)
    await studio.sent(two)

    everybody = (await studio.get("/customers")).json()
    assert [each["customerId"] for each in everybody["items"]] == [two, one]
    assert [each["photoCount"] for each in everybody["items"]] == [1, 2]
    page = (await studio.get(f"/customers/{one}/photos/?limit=1")).json()
    assert [each["jobId"] for each in page["items"]] == [second["jobId"]]
    rest = await studio.get(f"/customers/{one}/photos?limit=1&cursor={page['next_cursor']}")
    assert [each["jobId"] for each in rest.json()["items"]] == [first["jobId"]]
    assert rest.json()["next_cursor"] is None


async def test_nobody_sees_another_organizations_customers(studio: Studio, rival: Studio) -> None:
    name = a_customer()
    sent = await studio.sent(name)
    mine = f"/customers/{name}"

    for path in (mine, f"{mine}/photos", f"{mine}/photos/stream"):
        assert (await rival.get(path)).status_code == 404
    assert (await rival.get(f"{mine}/photos/{sent['jobId']}/status")).status_code == 404
    assert (await rival("DELETE", mine)).status_code == 404
    assert (await rival.get("/customers")).json()["items"] == []
    own = await rival.sent(name)  # the same id is another person there
    assert (await studio.get(mine)).json()["photoCount"] == 1
    assert (await studio.get(f"{mine}/photos/{own['jobId']}/status")).status_code == 404
    assert (await studio.get(f"/customers/other/photos/{sent['jobId']}/status")).status_code == 404


async def test_a_wait_has_bounds(studio: Studio) -> None:
    sent = await studio.sent(a_customer())
    path = f"/customers/{sent['customerId']}/photos/{sent['jobId']}/status"

    for wrong in ("-1", "61", "soon"):
        answer = await studio.get(f"{path}?waitSeconds={wrong}")
        assert answer.json()["errors"][0]["pointer"] == "/waitSeconds"
    assert (await studio.get(path)).status_code == 200
    assert (await studio.get(path.replace(sent["jobId"], "x"))).status_code == 404


async def told(studio: Studio, name: str, last_id: str | None, stop: int) -> list[Any]:
    headers = {"x-api-key": studio.key} | ({"last-event-id": last_id} if last_id else {})
    path = f"/customers/{name}/photos/stream"
    found: list[Any] = []
    fields: dict[str, str] = {}
    async with studio.client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        if last_id is None:
            await studio.sent(name)
        async for line in answer.aiter_lines():
            key, _, value = line.partition(": ")
            fields[key] = value
            if not line and "data" in fields:
                assert fields["event"] == "photo.status"
                found.append((fields["id"], json.loads(fields["data"])))
                fields = {}
                if len(found) == stop:
                    break
    return found


async def test_a_customers_stream_tells_of_their_photos_alone(studio: Studio) -> None:
    name = a_customer()
    await studio.done(name)

    first = await told(studio, name, None, 3)

    assert [each["status"] for _, each in first] == ["PENDING", "PROCESSING", "DONE"]
    assert len({each["jobId"] for _, each in first}) == 1
    assert first[-1][1]["generatedPhotoUrl"]
    resumed = await told(studio, name, first[0][0], 2)
    assert [(key, each["status"]) for key, each in resumed] == [
        (key, each["status"]) for key, each in first[1:]
    ]


async def test_a_stream_can_not_go_on_after_what_was_never_told(studio: Studio) -> None:
    name = a_customer()
    await studio.done(name)
    epoch = await studio.platform.events.epoch()
    for last in ("abc", encode("00000000", 1), encode(epoch, 2**40)):
        path = f"/customers/{name}/photos/stream"
        answer = await studio("GET", path, headers={"last-event-id": last})
        assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")


async def test_a_callback_is_told_the_photo_itself(studio: Studio) -> None:
    secret = (await studio.get("/api/v1/webhooks/secret")).json()["secret"]
    async with receiver() as there:
        good = await studio.done(a_customer(), callbackUrl=there.url)
        bad = await studio.done(a_customer(), photo()[:3000], callbackUrl=there.url)
        requests = await there.wait(2)

    told = {request.told["jobId"]: request for request in requests}
    assert {job_id: list(each.told) for job_id, each in told.items()} == {
        good["jobId"]: KEYS,
        bad["jobId"]: KEYS,
    }
    assert all(request.signed_by(secret) for request in requests)
    assert told[bad["jobId"]].told == bad
    said = told[good["jobId"]].told
    assert (said["status"], said["customerId"]) == ("DONE", good["customerId"])
    assert (await studio.client.get(said["generatedPhotoUrl"])).status_code == 200


async def test_a_deleted_job_is_a_photo_no_more(studio: Studio) -> None:
    done = await studio.done(a_customer())
    assert (await studio("DELETE", f"/api/v1/jobs/{done['jobId']}")).status_code == 204

    mine = f"/customers/{done['customerId']}"
    assert (await studio.get(f"{mine}/photos/{done['jobId']}/status")).status_code == 404
    assert (await studio.get(f"{mine}/photos")).json()["items"] == []
    await release_uploads(studio.platform)
    await forget_old_photos(studio.platform)
    assert (await studio.get(mine)).json()["photoCount"] == 0


async def test_photos_are_kept_as_long_as_their_customer_or_its_organization_says(
    studio: Studio,
) -> None:
    own, plain = await studio.done(a_customer()), await studio.done(a_customer())
    path = f"/customers/{own['customerId']}"
    refused = await studio("PUT", path, json={"retentionDays": 0})
    assert refused.json()["errors"][0]["pointer"] == "/retentionDays"
    await release_uploads(studio.platform)

    async def passes(days: float) -> list[int]:
        """What is left of both photos once the time is over that the customer says."""
        kept = await studio("PUT", path, json={"retentionDays": days})
        assert (kept.status_code, kept.json()["retentionDays"]) == (200, days)
        await forget_old_photos(studio.platform)
        asked = [
            f"/customers/{each['customerId']}/photos/{each['jobId']}/status"
            for each in (own, plain)
        ]
        return [(await studio.get(one)).status_code for one in asked]

    assert await passes(30) == [200, 200]
    retention = {"retention": {"photos_days": 1e-7}}
    assert (await studio("PUT", "/api/v1/organizations/current", json=retention)).is_success
    assert await passes(30) == [200, 404]
    assert await passes(1e-7) == [404, 404]
    gone = {own["jobId"], plain["jobId"]}
    assert not any(job_id in key for key in studio.objects() for job_id in gone)


async def test_the_platform_keeps_photos_for_ever_unless_told() -> None:
    assert Settings(_env_file=None).retention_photos_days is None
