"""The program behind its walls, warm, as a worker runs it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vision.network import detector
from tests.vision.program import manifest
from tests.vision.scene import encoded, picture
from usina.kernel.runners.bench import Bench, InputFile, Played, Request, bench
from usina.kernel.runners.form import Form
from usina.kernel.runners.gate import Value


class _Ear:
    """Hears everything and says nothing."""

    def progress(self, fraction: float, stage: str | None) -> None: ...

    def metric(self, name: str, value: Value) -> None: ...

    def log(self, data: bytes) -> None: ...

    def checkpoint(self, name: str, descriptor: int) -> None: ...


async def _played(ground: Bench, image: Path) -> Played:
    request = Request.checked(Form.of(manifest()), {}, {"image": [InputFile.of(image)]})
    return await ground.play(manifest(), request, _Ear(), timeout_seconds=60)


def _report(played: Played) -> dict[str, Any]:
    assert played.failure is None, played.failure
    [told] = [each for each in played.outputs if each.name == "report.json"]
    return json.loads((played.work.path / "outputs" / told.name).read_text())


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_a_network_that_is_replaced_is_the_one_of_the_next_job(
    kind: str, tmp_path: Path
) -> None:
    home = tmp_path / "network"
    home.mkdir()
    path = detector(home / "network.onnx")
    (home / "names.txt").write_text("rot\ngrün\nblau\n", "utf-8")
    image = tmp_path / "a.png"
    image.write_bytes(encoded(picture([("red", (40, 40, 60, 60))])))
    named = path if kind == "file" else home

    async with bench({"YOLO_MODEL_PATH": str(named)}) as ground:
        first = _report(await _played(ground, image))
        detector(tmp_path / "new.onnx", "end-to-end").replace(path)
        second = await _played(ground, image)
        if second.failure is not None:
            assert (second.failure.code, second.failure.retryable) == ("unavailable", True)
            second = await _played(ground, image)
        again = _report(second)

    assert list(first["counts"]) == (["red"] if kind == "file" else ["rot"])
    families = [told["detector"]["family"] for told in (first, again)]
    assert families == ["yolov8", "end-to-end"]
