"""A model's environment is made by its recipe, whole or not at all; it goes on where it stopped."""

import io
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.install.conftest import TOKEN, WEIGHTS, Hub
from tests.models.automatic1111.server import webui
from usina.catalogue import registry_of
from usina.faces.cli.main import main
from usina.install import install as installing
from usina.install.install import Access, fault_of, install, plan, remove
from usina.install.lack import lacks
from usina.install.place import InstallError, Place
from usina.install.python import fits, python_for
from usina.kernel.registry import model_of
from usina.kernel.runners.manifest import Environment, Manifest
from usina.kernel.worker.machine import Machine
from usina.settings import Settings


def quiet(text: str, share: float | None) -> None:
    pass


def follow(manifest: Manifest, data: Path, hub: Hub, token: str | None = TOKEN) -> dict[str, str]:
    return install(plan(manifest, data, {}), Access(hub.url, token), quiet)


def left(data: Path) -> list[str]:
    """What lies in the model's folder, but for what is in its environment."""
    top = data / "models/tiny-v1"
    files = (str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
    return sorted(each for each in files if not each.startswith("environment-"))


def said_by(settings: dict[str, str]) -> str:
    """What the model's program says in its own Python."""
    command = [settings["TINY_PYTHON"], settings["TINY_SCRIPT"]]
    return subprocess.check_output(command, env={**os.environ, **settings}, text=True)


async def test_an_installed_model_is_found_without_a_setting(
    manifest: Manifest, hub: Hub, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    settings = Settings(data=data, runners=(manifest.folder,), _env_file=None)
    before = (await registry_of(settings)).get("tiny-v1")
    assert before is not None
    assert "TINY_PYTHON is not set" in (before.unavailable_reason or "")

    told = follow(manifest, data, hub)
    after = (await registry_of(settings)).get("tiny-v1")
    assert after is not None
    assert after.available, after.unavailable_reason
    assert after.manifest.passed({})["TINY_SCRIPT"] == told["TINY_SCRIPT"]
    assert said_by(told) == f"tiny {len(WEIGHTS)} pinned\n", "its package, its weights, its commit"
    assert hub.asked == [("/gated/tiny/resolve/v1/model.bin", None)]
    assert left(data) == ["installed.json", "weights/tiny/model.bin"]

    again = plan(manifest, data, {})
    assert again.done
    assert install(again, Access(), quiet) == told
    assert len(hub.asked) == 1, "nothing is fetched twice"
    weights = Path(told["TINY_WEIGHTS"])
    assert fault_of(manifest.weights[0], weights) is None
    weights.write_bytes(b"\0" * len(WEIGHTS))
    assert "another SHA-256" in (fault_of(manifest.weights[0], weights) or "")
    remove(Place.of(data, "tiny-v1"))
    assert [path.name for path in (data / "models").iterdir()] == ["tiny-v1.lock"]


def test_fetching_refuses_goes_on_and_checks(
    manifest: Manifest, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setattr(
        installing, "make_environment", lambda *given: given[1].mkdir(exist_ok=True)
    )
    with pytest.raises(InstallError) as refused:
        follow(manifest, data, hub, token=None)
    assert "403" in str(refused.value)
    assert "https://example.org/terms" in str(refused.value)
    assert "HF_TOKEN" in str(refused.value)
    assert left(data) == []

    hub.hangs_up_after = 300_000
    with pytest.raises(InstallError, match="300000 bytes of it are kept: run it again"):
        follow(manifest, data, hub)
    assert Place.of(data, "tiny-v1").installed() is None
    hub.hangs_up_after, hub.asked = None, []
    follow(manifest, data, hub)
    assert [asked for _, asked in hub.asked] == ["bytes=300000-"]
    assert left(data) == ["installed.json", "weights/tiny/model.bin"]

    (data / "models/tiny-v1/weights/tiny/model.bin").unlink()
    hub.body = b"\1" * len(WEIGHTS)
    with pytest.raises(InstallError, match="is not what it should be"):
        follow(manifest, data, hub)
    assert left(data) == ["installed.json"]


def test_an_environment_that_can_not_be_made_leaves_nothing(
    manifest: Manifest, hub: Hub, tmp_path: Path
) -> None:
    (manifest.folder / "requirements.txt").write_text("no_such_package==3\n")
    with pytest.raises(InstallError) as refused:
        follow(manifest, tmp_path / "data", hub)
    assert "requirements.txt could not be installed" in str(refused.value)
    assert "no_such_package" in str(refused.value)
    assert "PIP_FIND_LINKS" in str(refused.value)
    assert list((tmp_path / "data/models/tiny-v1").iterdir()) == []
    assert hub.asked == []


def test_a_kill_has_installed_nothing_and_another_recipe_replaces_the_first(
    manifest: Manifest, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*args: Any) -> None:
        raise Killed

    data = tmp_path / "data"
    place = Place.of(data, "tiny-v1")
    monkeypatch.setattr(
        installing, "make_environment", lambda *given: given[1].mkdir(exist_ok=True)
    )
    with monkeypatch.context() as patch:
        patch.setattr(Place, "finish", dies)
        with pytest.raises(Killed):
            follow(manifest, data, hub)
    assert not plan(manifest, data, {}).environment_is_there, "it is made anew"
    with monkeypatch.context() as patch:
        patch.setattr(Place, "settle", dies)
        with pytest.raises(Killed):
            follow(manifest, data, hub)
    assert place.installed() is None
    assert not plan(manifest, data, {}).done
    assert plan(manifest, data, {}).steps() == [], "what is whole stays"
    follow(manifest, data, hub)
    assert len(hub.asked) == 1, "its weights were whole"

    (place.folder / "environment-0123456789ab").mkdir()
    (manifest.folder / "requirements.txt").write_text("tiny_model\n")
    assert not plan(manifest, data, {}).environment_is_there, "another recipe"
    follow(manifest, data, hub)
    environments = [path.name for path in place.folder.glob("environment-*")]
    assert environments == [place.environment(plan(manifest, data, {}).recipe).name]


def test_the_command_asks_first_and_says_what_it_does(
    manifest: Manifest,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        installing, "make_environment", lambda *given: given[1].mkdir(exist_ok=True)
    )
    for name, value in {
        "USINA_DATA": str(tmp_path / "data"),
        "USINA_RUNNERS": str(manifest.folder),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["models", "install", "tiny-v1"]) == 130, "nobody said yes"
    said = capfd.readouterr().err
    assert "https://example.org/terms" in said
    assert "fetch tiny/model.bin from hf:gated/tiny@v1" in said
    assert "it needs 1.0 MiB" in said
    assert hub.asked == []
    assert main(["models", "install", "tiny-v1", "--yes", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["settings"].keys() == {"TINY_PYTHON", "TINY_SCRIPT", "TINY_WEIGHTS"}
    assert main(["models", "install", "echo-v1", "--yes"]) == 1
    assert "has no recipe" in capfd.readouterr().err
    assert main(["models", "install", "tiny-v2", "--yes"]) == 5
    assert "tiny-v1" in capfd.readouterr().err
    assert main(["models", "remove", "tiny-v1", "--yes"]) == 0
    assert not (tmp_path / "data/models/tiny-v1").exists()
    assert main(["models", "remove", "tiny-v1", "--yes"]) == 1


@pytest.mark.parametrize(
    ("version", "wanted", "yes"),
    [
        ((3, 11, 4), ">=3.10,<3.13", True),
        ((3, 13, 0), ">=3.10,<3.13", False),
        ((3, 9, 19), "==3.9.*", True),
        ((3, 9, 19), "!=3.9.*", False),
        ((3, 9, 0), "~=3.9", False),
    ],
)
def test_versions_of_python(version: tuple[int, ...], wanted: str, yes: bool) -> None:
    assert fits(version, wanted) is yes


def test_a_python_that_will_not_do_is_told() -> None:
    with pytest.raises(InstallError, match=r"Python >=4 is needed, and here is 3\."):
        python_for(">=4")
    with pytest.raises(InstallError, match="--python /no/python"):
        python_for(None, "/no/python")


async def test_what_a_model_lacks_is_told_with_its_fix(manifest: Manifest, tmp_path: Path) -> None:
    data, machine = tmp_path / "data", Machine(1, 2 * 1024**3)
    missing = await model_of(manifest)
    [lack] = lacks(missing, data, {}, machine)
    assert "TINY_PYTHON is not set" in lack.what
    assert lack.fix.startswith("usina models install tiny-v1")

    place, weight = Place.of(data, "tiny-v1"), manifest.weights[0]
    place.weights.mkdir(parents=True)
    place.settle({"settings": {}})
    here = replace(missing, available=True, unavailable_reason=None)
    [lack] = lacks(here, data, {}, machine)
    assert "is not there" in lack.what
    assert lack.fix == f"rm -f {place.weight(weight)} && usina models install tiny-v1"
    own = tmp_path / "own.bin"
    own.write_bytes(b"short")
    [lack] = lacks(here, data, {"TINY_WEIGHTS": str(own)}, machine)
    assert "has 5 bytes instead of" in lack.what
    assert not lack.stops
    own.write_bytes(WEIGHTS)
    assert lacks(here, data, {"TINY_WEIGHTS": str(own)}, machine) == []

    unknown = weight.model_copy(update={"sha256": None})
    unhashed = replace(here, manifest=manifest.model_copy(update={"weights": (unknown,)}))
    [lack] = lacks(unhashed, data, {"TINY_WEIGHTS": str(own)}, machine)
    assert "can not be verified: no SHA-256 of it is known" in lack.what
    assert not lack.stops

    needs = replace(here.resources, memory_bytes=4 * 1024**3)
    [lack] = lacks(replace(here, resources=needs), data, {"TINY_WEIGHTS": str(own)}, machine)
    assert "it takes 4.0 GiB of memory and here is 2.0 GiB" in lack.what


GIB = 1024**3


@pytest.mark.parametrize(
    ("gpus", "needs", "sizes", "here"),
    [
        (1, 0, [16], None),
        (1, 16, [8, 16], None),
        (1, 20, [16, 20], None),
        (1, 20, [], "a GPU with 20.0 GiB, and here there is none"),
        (1, 20, [8, 16], "a GPU with 20.0 GiB, and here the largest has 16.0 GiB"),
        (2, 20, [24], "2 GPUs with 20.0 GiB, and here there is 1, the largest has 24.0 GiB"),
        (2, 20, [24, 16], "2 GPUs with 20.0 GiB, and here the largest has 24.0 GiB"),
    ],
)
async def test_a_model_whose_gpus_are_not_here_is_told_with_what_to_do(
    manifest: Manifest, tmp_path: Path, gpus: int, needs: int, sizes: list[int], here: str | None
) -> None:
    model = replace(await model_of(manifest), available=True, unavailable_reason=None)
    asks = replace(model.resources, gpu=gpus, gpu_memory_bytes=needs * GIB, cpu=False)
    machine = Machine(1, 2 * GIB)
    for cpu in (False, True):
        asked = replace(model, resources=replace(asks, cpu=cpu))
        found = lacks(asked, tmp_path, {}, machine, [size * GIB for size in sizes])
        assert len(found) == (here is not None)
        for lack in found:
            assert f"it takes {here}: none of its jobs can run" in lack.what
            assert lack.fix.startswith("Run a worker where there is")
            assert ("It can run without one" in lack.fix) is cpu
            assert not lack.stops, "another machine may have them"


async def test_a_server_that_does_not_answer_is_told(manifest: Manifest, tmp_path: Path) -> None:
    reads = Environment.model_validate({"pass": ["TINY_URL"], "server": "TINY_URL"})
    known = await model_of(manifest.model_copy(update={"environment": reads, "weights": ()}))
    model, machine = replace(known, available=True), Machine(1, 2 * 1024**3)
    with webui(mode="html") as (state, url):
        assert lacks(model, tmp_path, {"TINY_URL": url}, machine) == []
        assert state.paths == ["/"]
    [lack] = lacks(model, tmp_path, {"TINY_URL": url}, machine)
    assert "the server that TINY_URL names can not be reached" in lack.what
    assert not lack.stops
    assert lacks(model, tmp_path, {}, machine) == []


def test_a_step_that_stops_says_what_takes_its_place_and_a_made_environment_stays(
    manifest: Manifest, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, made = tmp_path / "data", list[str]()
    place = Place.of(data, "tiny-v1")

    def makes(manifest: Manifest, folder: Path, python: str, progress: object) -> None:
        made.append(folder.name)
        folder.mkdir(parents=True)

    monkeypatch.setattr(installing, "make_environment", makes)
    with pytest.raises(InstallError) as stopped:
        install(plan(manifest, data, {}), Access("http://me:word@127.0.0.1:1", TOKEN), quiet)
    assert "/gated/tiny/resolve/v1/model.bin" in str(stopped.value)
    assert f"at {place.weight(manifest.weights[0])}, and run it again" in str(stopped.value)
    assert "word" not in str(stopped.value)
    assert place.installed() is None
    assert plan(manifest, data, {}).steps() == ["fetch tiny/model.bin from hf:gated/tiny@v1"]

    place.weight(manifest.weights[0]).write_bytes(WEIGHTS)
    assert follow(manifest, data, hub)["TINY_WEIGHTS"]
    assert hub.asked == [], "by hand"
    assert len(made) == 1
    revision = "0123456789abcdef0123456789abcdef01234567"
    looked_up = {"source": f"hf:gated/tiny@{revision}", "cached": True, "setting": None}
    cached = manifest.weights[0].model_copy(update=looked_up)
    follow(manifest.model_copy(update={"weights": (cached,)}), data, hub)
    repository = place.weights / "hub" / "models--gated--tiny"
    assert (repository / "refs" / "main").read_text() == revision
    assert (repository / "snapshots" / revision / "model.bin").read_bytes() == WEIGHTS

    assert manifest.install is not None
    away = manifest.install.model_copy(update={"git": str(tmp_path / "nowhere")})
    elsewhere = manifest.model_copy(update={"install": away})
    monkeypatch.undo()
    with pytest.raises(InstallError, match=r"nowhere, commit [0-9a-f]{40}, could not") as stopped:
        follow(elsewhere, tmp_path / "other", hub)
    assert "set TINY_PYTHON, TINY_SCRIPT to where they are" in str(stopped.value)
    assert Place.of(tmp_path / "other", "tiny-v1").installed() is None
