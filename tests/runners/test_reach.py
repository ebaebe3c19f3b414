"""What a program may read: enough to run, and never around what is hidden."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.reach import devices, readable

Make = Callable[..., Manifest]


@pytest.fixture
def program(runner: Make) -> Manifest:
    return runner("")


def given(program: Manifest, hidden: Path, *named: str, **passed: str) -> list[Path]:
    argv = (*program.argv(), *named)
    return [Path(path).resolve() for path in readable(program, argv, passed, [str(hidden)])]


def reaches(paths: list[Path], path: Path) -> bool:
    real = path.resolve()
    return any(real == given or given in real.parents for given in paths)


def test_what_every_program_needs_is_there(program: Manifest, tmp_path: Path) -> None:
    paths = given(program, tmp_path / "data")
    for needed in (
        program.folder / "run.py",
        Path(sys.executable),
        Path(sys.executable).resolve(),
        Path(os.__file__),
        Path(sys.modules["usina_runner"].__file__ or ""),
        Path(sys.modules["numpy"].__file__ or "") if "numpy" in sys.modules else Path("/usr/bin"),
        Path("/bin/sh"),
        Path("/etc/passwd"),
    ):
        assert reaches(paths, needed), needed
    for secret in ("/etc/shadow", "/root/.ssh", "/home", "/tmp", "/var/lib", "/", "/dev", "/sys"):
        assert Path(secret) not in paths
        assert not reaches(paths, Path(secret)), secret


def test_of_a_python_that_a_variable_names_the_environment_is_given_too(
    program: Manifest, tmp_path: Path
) -> None:
    there = tmp_path / "painter"
    (there / "bin").mkdir(parents=True)
    (there / "pyvenv.cfg").write_text("home = /usr/bin\n")
    python = there / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    paths = given(program, tmp_path / "data", PAINTER=str(python))
    assert reaches(paths, there / "lib")
    assert not reaches(paths, tmp_path / "other")


def test_a_folder_that_holds_what_is_hidden_is_given_in_parts(
    program: Manifest, tmp_path: Path
) -> None:
    for name in ("weights/a", "weights/deep/data/secret", "weights/deep/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    hidden = tmp_path / "weights/deep/data"
    paths = given(program, hidden, WEIGHTS=str(tmp_path / "weights"))
    assert reaches(paths, tmp_path / "weights/a")
    assert reaches(paths, tmp_path / "weights/deep/b")
    assert not reaches(paths, hidden / "secret")
    (tmp_path / "link").symlink_to(tmp_path / "weights")
    assert not reaches(given(program, hidden, WEIGHTS=str(tmp_path / "link")), hidden / "secret")


@pytest.mark.parametrize("name", ["data", "data/usina.sqlite", "link"])
def test_what_is_hidden_can_not_be_named(program: Manifest, tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/usina.sqlite").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    hidden = tmp_path / "data"
    assert not reaches(given(program, hidden, str(tmp_path / name)), hidden / "usina.sqlite")
    assert not reaches(given(program, hidden, A=str(tmp_path / name)), hidden / "usina.sqlite")


def test_a_runner_in_the_data_folder_is_its_own(program: Manifest) -> None:
    data = program.folder.parent
    paths = given(program, data)
    assert reaches(paths, program.folder / "run.py")
    assert not reaches(paths, data / "usina.sqlite")


@pytest.mark.parametrize("value", ["/", "/home", "/root", "/tmp", "relative", ""])
def test_no_variable_gives_the_machine_away(program: Manifest, tmp_path: Path, value: str) -> None:
    assert given(program, tmp_path, A=value) == given(program, tmp_path)


def test_an_environment_is_given_whole(program: Manifest, tmp_path: Path) -> None:
    for name in ("env/bin/python", "env/lib/python3/site-packages/x.py", "env/pyvenv.cfg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "env/bin/python").chmod(0o700)
    program = program.model_copy(update={"command": (str(tmp_path / "env/bin/python"), "run.py")})
    assert reaches(given(program, tmp_path / "data"), tmp_path / "env/lib/python3/site-packages")


def test_graphics_cards_are_for_models_that_ask(program: Manifest) -> None:
    assert devices(program) == [
        f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")
    ]
