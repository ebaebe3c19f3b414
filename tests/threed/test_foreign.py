"""Files of other programs: read as they were written, and damaged ones refused in words."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.installed import RUNNERS
from tests.old_python import old_python
from usina.apps.threed.foreign import server
from usina.apps.threed.foreign.glb import read_glb
from usina.apps.threed.foreign.obj import read_obj
from usina.apps.threed.foreign.received import Received, checked
from usina.apps.threed.gltf import to_coloured_glb, to_glb
from usina.apps.threed.surface import Coloured, Surface
from usina.apps.threed.texture import encode_jpeg
from usina_runner import Failure

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 1]], dtype=np.float64)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
UV = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 200]], dtype=np.uint8)
PLAIN = np.full((8, 8, 3), 120, dtype=np.uint8)
NORMALS = np.tile([0.0, 1.0, 0.0], (4, 1))


def glb() -> bytes:
    return to_glb(Surface(POINTS, NORMALS, UV, FACES, PLAIN), encode_jpeg(PLAIN), "model")


def refusal(path: Path) -> Failure | None:
    try:
        checked(read_glb(path))
    except Failure as refused:
        return refused
    return None


def test_a_glb_of_ours_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "worn.glb").write_bytes(glb())
    worn = read_glb(tmp_path / "worn.glb")
    (tmp_path / "plain.glb").write_bytes(
        to_coloured_glb(Coloured(POINTS, NORMALS, FACES, COLOURS), "model")
    )
    plain = read_glb(tmp_path / "plain.glb")

    for read in (worn, plain):
        assert np.array_equal(read.points, POINTS)
        assert np.array_equal(read.faces, FACES)
    assert worn.uv is not None
    assert np.array_equal(worn.uv, UV)
    assert worn.texture is not None
    assert plain.colours is not None


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1200), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_glb_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, place: int, there: bytes, cut: bool
) -> None:
    whole = glb()
    damaged = whole[:place] if cut else whole[:place] + there + whole[place + len(there) :]
    path = tmp_path_factory.mktemp("damaged") / "mesh.glb"
    path.write_bytes(damaged)
    refused = refusal(path)
    assert refused is None or (refused.code, refused.retryable) == ("runner_failed", False)


def test_an_obj_is_read_with_its_picture_its_seams_and_its_squares(tmp_path: Path) -> None:
    (tmp_path / "texture_kd.jpg").write_bytes(encode_jpeg(PLAIN))
    (tmp_path / "model.mtl").write_text("newmtl a\nmap_Kd texture_kd.jpg\n")
    (tmp_path / "model.obj").write_text(
        "mtllib model.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
        "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 -1/-1\n"
    )
    read = read_obj(tmp_path / "model.obj")

    assert len(read.faces) == 2
    assert read.uv is not None
    assert read.uv[0].tolist() == [0, 1], "from the upper left, as glTF counts"
    assert read.texture is not None


@pytest.mark.parametrize(
    ("points", "faces", "reason"),
    [
        (POINTS, FACES[:0], "mesh_empty"),
        (POINTS * 0, FACES, "mesh_empty"),
        (np.where(POINTS == 2, np.nan, POINTS), FACES, "mesh_not_finite"),
        (np.where(POINTS == 2, np.inf, POINTS), FACES, "mesh_not_finite"),
    ],
)
def test_what_is_no_surface_is_not_believed(
    points: np.ndarray, faces: np.ndarray, reason: str
) -> None:
    with pytest.raises(Failure) as refused:
        checked(Received(points, faces))
    assert refused.value.reason == reason


def test_the_server_of_a_loaded_model_runs_in_old_pythons(tmp_path: Path) -> None:
    (tmp_path / "adapter.py").write_text(
        "def load(options):\n    print('noise')\n    return options['a']\n"
        "def make(model, order, tell):\n    tell('half')\n    return {'made': model + order['b']}\n"
    )
    (tmp_path / "orders").write_text('{"b": 2}\n{"c": 0}\n')
    done = subprocess.run(
        [
            *("bash", "-c", 'exec "$0" "$@" 3>answers 4<orders', str(old_python().path)),
            *(str(server.__file__), "adapter.py", "3", "4", str(tmp_path), '{"a": 1}'),
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    answers = (tmp_path / "answers").read_text().splitlines()

    assert done.returncode == 1, "it leaves after what has failed"
    assert answers[:3] == ['{"ready": true}', '{"stage": "half"}', '{"done": {"made": 3}}']
    assert answers[-1] == '{"failed": "KeyError: \'b\'"}'
    assert done.stdout == "noise\n"


def test_what_runs_in_a_models_own_python_is_of_an_old_one() -> None:
    files = [RUNNERS / "sf3d" / "warm.py", Path(str(server.__file__))]
    told = subprocess.run(
        [Path(sys.executable).with_name("vermin"), "--no-tips", "-t=3.8-", *map(str, files)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout
