"""A model's environment: its program's source at a pinned commit, and a venv with its packages."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from usina.install.fetch import Progress, Wanted, fetch
from usina.install.place import InstallError, or_by_hand, without_password
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.terms import Install

_TOLD_LINES: Final = 12
_IN_SOURCE: Final = "{source}/"
_OWN_PACKAGES: Final = (
    "pip and git read your own configuration: give them an index, a folder of wheels or a mirror "
    "(PIP_INDEX_URL, PIP_FIND_LINKS, git's url.*.insteadOf) and run it again."
)


def make_environment(manifest: Manifest, folder: Path, python: str, progress: Progress) -> None:
    """Makes ``folder`` anew with ``source`` and ``venv``; on a failure it is gone again."""
    recipe = manifest.install
    assert recipe is not None, "asked only of what can be installed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        with or_by_hand(_own_source(recipe)):
            _bring_source(recipe, folder / "source", progress)
        progress("making the environment", None)
        _run([python, "-m", "venv", str(folder / "venv")], folder, "The environment")
        for file in recipe.requirements:
            progress(f"installing {file.removeprefix(_IN_SOURCE)}", None)
            with or_by_hand(_OWN_PACKAGES):
                _install(recipe, manifest.folder, folder, file)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _own_source(recipe: Install) -> str:
    """What takes the place of fetching it."""
    names = ", ".join(recipe.settings)
    return (
        "By hand: bring its source to this machine, make the environment as its authors say, and "
        f"set {names} to where they are. Or let git reach a mirror of it (url.*.insteadOf)."
    )


def _bring_source(recipe: Install, source: Path, progress: Progress) -> None:
    if recipe.git is not None and recipe.commit is not None:
        progress("fetching the program", None)
        _clone(recipe.git, recipe.commit, source)
    elif recipe.archive is not None:
        archive = source.with_name("archive")
        wanted = Wanted(recipe.archive, "the program", recipe.sha256)
        fetch(wanted, archive, progress)
        _unpack(archive, source)
        archive.unlink()


def _clone(address: str, commit: str, source: Path) -> None:
    """The commit alone where the server allows it, else with what led to it."""
    what = f"The program's source at {without_password(address)}, commit {commit},"
    quiet = {"GIT_TERMINAL_PROMPT": "0"}
    source.mkdir()
    _run(["git", "init", "--quiet"], source, what)
    fetching = ["git", "fetch", "--quiet", address]
    try:
        _run([*fetching, "--depth", "1", commit], source, what, quiet)
    except InstallError:
        _run([*fetching, "+refs/*:refs/remotes/origin/*"], source, what, quiet)
    _run(["git", "checkout", "--quiet", "--detach", commit], source, what)
    if (source / ".gitmodules").exists():
        modules = ["git", "submodule", "update", "--quiet", "--init", "--recursive"]
        _run(modules, source, what, quiet)


def _unpack(archive: Path, source: Path) -> None:
    """Nothing of it leads out of the folder; one that holds a single folder is that folder."""
    inside = source.with_name("unpacked")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(inside)  # noqa: S202  # it cleans the names itself
        else:
            with tarfile.open(archive) as packed:
                packed.extractall(inside, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise InstallError(f"The program's archive can not be unpacked: {error}") from error
    top = list(inside.iterdir())
    (top[0] if len(top) == 1 and top[0].is_dir() else inside).rename(source)
    shutil.rmtree(inside, ignore_errors=True)


def _install(recipe: Install, runner: Path, folder: Path, file: str) -> None:
    """By pip, with the indexes and options that the user's own configuration names."""
    own = file.startswith(_IN_SOURCE)
    where = folder / "source" if own else runner
    command = [str(folder / "venv/bin/python"), "-m", "pip", "install"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet"]
    if not recipe.build_isolation:
        command.append("--no-build-isolation")
    path = str(where / file.removeprefix(_IN_SOURCE))
    _run([*command, "-r", path], where, f"The packages of {file}")


def _run(
    command: Sequence[str], cwd: Path, what: str, more: Mapping[str, str] | None = None
) -> None:
    """A program to its end; raises `InstallError` with the last that it said."""
    try:
        ended = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise InstallError(f"{what} needs {command[0]}; install it.") from None
    if ended.returncode:
        said = "\n".join(ended.stdout.strip().splitlines()[-_TOLD_LINES:])
        raise InstallError(f"{what} could not be installed: {without_password(said)}")
