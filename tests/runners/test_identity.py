"""A program that changes is another one; where it changed under us, nobody's results are shared."""

import os
import shutil
from pathlib import Path

import pytest

from tests.runners.stage import make_runner
from usina.kernel.runners import identity
from usina.kernel.runners.identity import Identities, recipe_of
from usina.kernel.runners.manifest import load_manifest


async def test_what_a_program_is_follows_its_files_and_what_its_variables_name(
    tmp_path: Path,
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.bin").write_bytes(b"one")
    manifest = make_runner(tmp_path / "model-v1", "pass", more="[environment]\npass = ['HOME_OF']")
    told = {"HOME_OF": str(weights)}

    first = await Identities().of(manifest, told)
    assert first is not None
    assert await Identities().of(manifest, told) == first
    assert await Identities().of(manifest, {}) != first
    (weights / "model.bin").write_bytes(b"another")
    second = await Identities().of(manifest, told)
    assert second not in (None, first), "weights that were replaced"
    (manifest.folder / "run.py").write_text("print()")
    third = await Identities().of(manifest, told)
    assert third not in (None, first, second), "a program that was changed"


async def test_a_program_that_changed_under_a_worker_has_no_identity(tmp_path: Path) -> None:
    manifest = make_runner(tmp_path / "model-v1", "pass")
    known = Identities()
    known.good_seconds = 0
    assert await known.of(manifest, {}) is not None
    (manifest.folder / "run.py").write_text("print()")
    assert await known.of(manifest, {}) is None, "a warm one may still be the old"


async def test_programs_that_it_calls_are_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name on PATH, by a variable, and a script with the code beside it."""
    bin_, home = tmp_path / "bin", tmp_path / "home"
    (home / "lib").mkdir(parents=True)
    bin_.mkdir()
    monkeypatch.setenv("PATH", str(bin_), prepend=os.pathsep)
    more = "[environment]\npass = ['TOOL_PATH', 'SCRIPT']\nprograms = ['$TOOL_PATH', 'tool']"
    manifest = make_runner(tmp_path / "model-v1", "pass", more=more)
    passed = {"TOOL_PATH": "tool-2", "SCRIPT": str(home / "run.py")}
    seen = [await Identities().of(manifest, passed)]

    async def another(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)
        seen.append(await Identities().of(manifest, passed))
        assert seen[-1] not in (None, *seen[:-1]), path.name

    await another(bin_ / "tool", "one")
    await another(bin_ / "tool", "two")
    await another(bin_ / "tool-2", "three")
    await another(home / "run.py", "import lib.of")
    await another(home / "lib" / "of.py", "x = 1")
    (weighty := home / "bin").mkdir()
    (home / "pyvenv.cfg").write_text("version = 3.11.2")
    (home / "lib" / "python3.11" / "site-packages" / "torch-2.0.dist-info").mkdir(parents=True)
    passed["PYTHON"] = str(weighty / "python")
    await another(weighty / "python", "an interpreter of its own")
    (home / "lib" / "python3.11" / "site-packages" / "more-1.0.dist-info").mkdir()
    seen.append(await Identities().of(manifest, passed))
    assert seen[-1] not in seen[:-1], "its libraries"
    (home / "result.png").write_text("no code")
    assert await Identities().of(manifest, passed) == seen[-1]
    before = (bin_ / "tool").stat()
    (bin_ / "tool").write_text("TWO")
    os.utime(bin_ / "tool", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await Identities().of(manifest, passed) not in seen, "of the same size and time"


async def test_what_its_probe_says_is_part_of_it(tmp_path: Path) -> None:
    manifest = make_runner(tmp_path / "model-v1", "pass")
    found = {await Identities().of(manifest, {}, said) for said in ("server 1", "server 2")}
    assert len(found - {None}) == 2


async def test_the_same_programs_elsewhere_are_the_same(tmp_path: Path) -> None:
    more = "[environment]\npass = ['WEIGHTS']"
    one = make_runner(tmp_path / "one" / "model-v1", "pass", more=more)
    (weights := tmp_path / "one" / "weights").mkdir()
    (weights / "model.bin").write_bytes(b"one")
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copy)
    two = load_manifest(tmp_path / "two" / "model-v1")
    there = {"WEIGHTS": str(tmp_path / "two" / "weights")}
    assert await Identities().of(one, {"WEIGHTS": str(weights)}) == await Identities().of(
        two, there
    )


async def test_more_than_can_be_looked_at_is_no_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_runner(tmp_path / "model-v1", "pass")
    assert await Identities().of(manifest, {}) is not None
    monkeypatch.setattr(identity, "_MOST_FILES", 1)
    assert await Identities().of(manifest, {}) is None


def test_a_recipe_does_not_depend_on_the_order_of_words(tmp_path: Path) -> None:
    manifest = make_runner(tmp_path / "model-v1", "pass")
    files = {"a": [("1" * 64, "image/png")], "b": [("2" * 64, "image/png")]}
    one = recipe_of(manifest, "i", {"x": 1, "y": 2}, files)
    assert one == recipe_of(manifest, "i", {"y": 2, "x": 1}, dict(reversed(files.items())))
    assert one != recipe_of(manifest, "j", {"x": 1, "y": 2}, files)
    assert one != recipe_of(manifest, "i", {"x": 1, "y": 2}, {"a": files["b"], "b": files["a"]})
