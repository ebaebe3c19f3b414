"""Every runner that ships with Usina keeps the contract: the checks of ``usina runner check``.

A new room's runner is found by itself; it brings its ``examples/``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.vision.network import detector
from usina.kernel.registry import discover_apps
from usina.kernel.runners.check.suite import examine
from usina.kernel.runners.manifest import Manifest, load_manifest

FOLDERS = sorted(
    path.parent for app in discover_apps("usina.apps") for path in app.runners.glob("*/runner.toml")
)


def excused(manifest: Manifest) -> set[str]:
    """The checks that may have nothing to say about a program."""
    names = {"every-example", "log-limit", "network", "no-file-outside", "seed"}
    if not manifest.inputs:
        names |= {"media-types", "input-empty", "input-truncated", "input-wrong-type"}
        names |= {"input-unchanged"}
    if not any(_bounded(schema) for schema in manifest.params.values()):
        names |= {"smallest-parameters", "largest-parameters"}
    if not any({"default", "enum"} <= schema.keys() for schema in manifest.params.values()):
        names |= {"every-choice"}
    if not any(spec.required for spec in manifest.inputs.values()):
        names |= {"examples", "input-truncated", "input-unchanged"}
    if not manifest.gates:
        names |= {"gates"}
    if not manifest.deterministic:
        names |= {"deterministic"}
    if manifest.mode == "cold":
        names |= {"ready", "home-empty"}
    return names


def _bounded(schema: Mapping[str, Any]) -> bool:
    """Whether it has a default and ends of its own, which are not those of its parts."""
    return "default" in schema and bool({"minimum", "maximum"} & schema.keys())


def test_the_rooms_are_found() -> None:
    assert {"echo-v1", "inflate-v1", "relief-v1"} <= {folder.name for folder in FOLDERS}


INSTALLED: Mapping[str, Callable[[Path], dict[str, str]]] = {
    "yolo-onnx": lambda folder: {"YOLO_MODEL_PATH": str(detector(folder / "n.onnx", size=None))},
}
"""What an operator installs and sets before a program can run, made in a folder."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_every_built_in_runner_keeps_the_contract(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in INSTALLED.get(folder.name, lambda _: {})(tmp_path).items():
        monkeypatch.setenv(name, value)

    found = await examine(folder)

    assert [f"{each.name}: {each.why}" for each in found if each.verdict == "failed"] == []
    silent = {each.name: each.why for each in found if each.verdict == "not checked"}
    assert silent.keys() <= excused(load_manifest(folder)), silent
