"""What is sent to a bed, and its files: listed, served in ranges, deleted."""

import pytest

from tests.cfd.beds.conftest import GRID, V1, Lab

pytestmark = pytest.mark.asyncio(loop_scope="session")
TABLE = "x_m,y_m,z_m,diameter_m\n" + "".join(
    f"{x},0,{z},0.01\n" for x in (-0.01, 0.01) for z in (0.005, 0.015, 0.025)
)
STL = b"\0" * 80 + b"\1\0\0\0" + b"\0" * 50


async def test_a_bed_text_changes_the_bed_and_is_given_back(lab: Lab) -> None:
    bed = await lab.ready(particle_count=100)
    answer = await lab.send(
        bed,
        "small.bed",
        'particles { count = 95; } packing { generator = "spheres-v1"; }',
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["particle_count"] == 95
    assert answer.json()["job_id"] != bed["job_id"]

    path, headers = f"{V1}/beds/{bed['id']}", {"accept": "text/x-bed"}
    text = await lab.get(path, headers=headers)
    assert text.headers["content-type"] == "text/x-bed; charset=utf-8"
    assert "count = 95;" in text.text
    again = await lab.send(bed, "again.bed", text.text)
    assert again.json()["job_id"] == answer.json()["job_id"]
    renamed = await lab.send(bed, "bed.json", '{"name": "by JSON"}')
    assert renamed.json()["name"] == "by JSON"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.bed", "bed { diameter = 5 kg; }", "bed_unit"),
        ("a.bed", b'bed { material = "\xff"; }', "bed_file_unknown"),
        ("a.bed", "bed { diameter = 5 m; }", "validation_failed"),
        ("a.json", '{"name": "a", "name": "b"}', "bed_syntax"),
        ("a.json", "[1]", "validation_failed"),
        ("a.json", '{"id": "x"}', "unknown_field"),
        ("a.csv", "x_m,y_m\n1,2\n", "bed_value"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "bed_file_unknown"),
        ("a.bed", "", "empty_file"),
    ],
)
async def test_a_bad_upload_leaves_nothing(
    lab: Lab, name: str, content: str | bytes, code: str
) -> None:
    bed = await lab.ready(particle_count=96)
    before = lab.objects()
    answer = await lab.send(bed, name, content)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["errors"]
    assert lab.objects() == before
    assert await lab.see(f"/beds/{bed['id']}") == bed


async def test_own_particles_take_the_place_of_a_generation(lab: Lab) -> None:
    bed = await lab.bed(seed=7)
    sent = await lab.send(bed, "particles.csv", TABLE)
    assert sent.status_code == 201, sent.text
    own = await lab.see(f"/beds/{bed['id']}")
    assert (own["status"], own["job_id"]) == ("SUCCEEDED", None)
    replaced = await lab.get(f"{V1}/jobs/{bed['job_id']}?wait_seconds=30")
    assert replaced.status_code == 404 or replaced.json()["status"] == "CANCELLED"
    assert list(await lab.files(bed)) == ["particles.csv"]
    done = await lab.simulated(await lab.simulation(own))
    assert done["status"] == "SUCCEEDED"
    assert done["results"][0]["porosity_geometry"] > 0.9

    file = (await lab.files(bed))["particles.csv"]["id"]
    assert (await lab("DELETE", f"{V1}/beds/{bed['id']}/files/{file}")).status_code == 204
    refused = await lab.post(f"{V1}/beds/{bed['id']}/simulations", json={"solver": "flow-v1"})
    assert refused.status_code == 409
    assert (await lab("DELETE", f"{V1}/beds/{bed['id']}")).status_code == 204
    assert lab.objects() == []


async def test_files_are_served_in_ranges_under_safe_names(lab: Lab, rival: Lab) -> None:
    bed = await lab.ready(particle_count=97)
    sent = (await lab.send(bed, '../../"sh\u202eape\n.stl', STL)).json()
    assert "/" not in sent["name"]
    assert "\u202e" not in sent["name"]
    files = await lab.files(bed)
    assert {file["origin"] for file in files.values()} == {"generated", "uploaded"}
    path = f"{V1}/beds/{bed['id']}/files/"
    part = await lab.get(path + sent["id"], headers={"range": "bytes=80-83"})
    assert (part.status_code, part.content) == (206, b"\1\0\0\0")
    etag = {"if-none-match": part.headers["etag"]}
    assert (await lab.get(path + sent["id"], headers=etag)).status_code == 304
    table = files["particles.csv"]["id"]
    assert (await lab.get(path + table)).text.startswith("x_m,y_m,z_m")

    elsewhere = await lab.ready(particle_count=98)
    for ask, address in (
        (rival, path + table),
        (lab, f"{V1}/beds/{elsewhere['id']}/files/{table}"),
        (lab, path + "nothing"),
        (lab, path + bed["id"]),
    ):
        assert (await ask.get(address)).status_code == 404

    assert (await lab("DELETE", path + files["bed.stl"]["id"])).status_code == 204
    assert "bed.stl" not in await lab.files(bed)
    assert not [key for key in lab.objects() if files["bed.stl"]["id"] in key]
    assert (await lab("DELETE", path + files["bed.stl"]["id"])).status_code == 404


async def test_an_upload_may_be_repeated(lab: Lab) -> None:
    bed = (await lab.post(f"{V1}/beds", json=GRID | {"particle_count": 99})).json()
    answers = [
        await lab.post(
            f"{V1}/beds/{bed['id']}/upload",
            files={"file": ("s.stl", STL)},
            headers={"idempotency-key": "shape"},
        )
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert len([key for key in lab.objects() if key.startswith("files/")]) == 1
