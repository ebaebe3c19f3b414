"""What the Containerfile copies is all that it builds of, and what comes out is whole."""

import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.page import ROOT

_TEXT = (ROOT / "deploy/Containerfile").read_text().replace("\\\n", " ")
_LINES = [line for line in _TEXT.splitlines() if line and not line.startswith("#")]


def _context(folder: Path) -> Path:
    """The files that the first stage copies, in an empty folder."""
    for line in _LINES:
        if line.startswith("COPY ") and "--from" not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                where = (
                    folder / target / (ROOT / source).name
                    if target.endswith("/")
                    else folder / target
                )
                where.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
                    shutil.copytree(ROOT / source, where, ignore=ignore)
                else:
                    shutil.copy(ROOT / source, where)
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    out = folder / "wheels"
    [build] = [line for line in _LINES if "--no-build-isolation" in line]
    projects = build.partition("--no-build-isolation")[2].split()
    assert projects == ["./clients/python", "."]
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command = [*wheel, "--disable-pip-version-check", "--wheel-dir", str(out), *projects]
    subprocess.run(command, cwd=_context(folder / "source"), check=True)
    return out


def test_the_packages_hold_everything_of_ours(wheels: Path) -> None:
    [wheel] = wheels.glob("usina-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    for path in (ROOT / "src").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert str(path.relative_to(ROOT / "src")) in names, path


def test_what_was_built_runs(wheels: Path, tmp_path: Path) -> None:
    for wheel in wheels.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(tmp_path)
    look = (
        "import usina, usina_client, sys; from usina.faces.cli.main import main; sys.exit(main())"
    )

    done = subprocess.run(
        [sys.executable, "-c", look, "--version"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usina ")


def test_nothing_else_gets_into_the_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = {
        source
        for line in _LINES
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }

    assert "*" in ignored
    for source in copied:
        assert any(fnmatch.fnmatch(way, f"{source}*") for way in allowed), source


def test_it_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    last = _TEXT.rpartition("\nFROM ")[2]

    assert re.search(r"^USER usina$", last, re.MULTILINE)
    assert "/health" in re.search(r"^HEALTHCHECK .*$", last, re.MULTILINE)[0]  # pyright: ignore
    assert re.search(r"^STOPSIGNAL SIGTERM$", last, re.MULTILINE)
    assert "--require-hashes" in _TEXT


def test_no_file_says_where_packages_come_from() -> None:
    for path in (ROOT / "deploy").iterdir():
        text = path.read_text()
        assert not re.search(r"index-url|find-links|trusted-host", text), path
        assert not set(re.findall(r"https?://([\w.-]+)", text)) - {
            "127.0.0.1",
            "localhost",
            "seaweedfs",
        }, path


def test_the_lock_of_the_image_is_a_part_of_the_lock() -> None:
    def pinned(path: Path) -> set[str]:
        return set(re.findall(r"^([\w.-]+==[\w.]+)", path.read_text(), re.MULTILINE))

    image = pinned(ROOT / "deploy/requirements.lock")
    assert len(image) > 40
    assert image <= pinned(ROOT / "requirements.lock")
    assert not any(name.startswith(("pytest", "moto", "nodejs")) for name in image)
    assert any(name.startswith("onnxruntime==") for name in image), "yolo-onnx runs in it"
