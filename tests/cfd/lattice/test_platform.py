"""bed-flow-lbm as a caller meets it: a file in, a job, gates and artifacts out, of a real plant."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.cfd.lattice.bed import as_csv, centres
from usina.faces.cli.demo.stage import own_platform
from usina_client import Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with own_platform(tmp_path_factory.mktemp("plant")) as address, address.client() as opened:
        yield opened


@pytest.fixture
def bed(tmp_path: Path) -> Path:
    path = tmp_path / "a bed; $(reboot) 'ü'.csv"
    path.write_bytes(as_csv(centres()))
    return path


def test_a_bed_becomes_a_permeability_with_gates_and_artifacts(client: Client, bed: Path) -> None:
    mesh = {"resolution": 10, "length_diameters": 3}
    job = client.jobs.run("bed-flow-lbm", {"mesh": mesh}, {"bed": bed}, timeout=110)

    assert job.succeeded
    artifacts = {each.name: each for each in job.artifacts}
    assert artifacts["slice.png"].media_type == "image/png"
    assert artifacts["report.html"].kind == "report"
    assert {"slice.vtp", "streamlines.vtp"} <= artifacts.keys()
    with Image.open(io.BytesIO(client.artifacts.read(artifacts["streamlines.png"].id))) as picture:
        colours = picture.convert("RGB").getcolors(1 << 24) or []
    assert len(colours) > 200, "it is all but empty"
    report = json.loads(client.artifacts.read(artifacts["report.json"].id))
    assert report["params"]["velocity_m_s"] == 0.001
    assert report["params"]["mesh"] == mesh
    assert report["results"][0]["pressure_gradient_pa_m"] > 0
    assert job.gates
    assert all(gate.ok for gate in job.gates)


def test_a_large_flow_is_cancelled_in_its_midst(client: Client, bed: Path) -> None:
    mesh = {"resolution": 24, "length_diameters": 10, "tolerance": 1e-7}
    job = client.jobs.submit("bed-flow-lbm", {"mesh": mesh}, {"bed": bed})
    for event in client.jobs.watch(job.id):
        if event.type == "job.progress" and event.data["stage"] == "flow":
            client.jobs.cancel(job.id)
    assert client.jobs.get(job.id).status == "CANCELLED"
