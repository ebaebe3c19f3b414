"""Which paths a program needs: what it may read besides its work folder, and which devices.

A folder that holds what must stay hidden is never given whole: its other children are.
"""

import os
import re
import site
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import usina
import usina_runner
from usina.kernel.runners.manifest import Manifest

_SYSTEM: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/sys/devices",
    "/sys/class",
    "/sys/bus",
    "/sys/module",
    "/sys/fs/cgroup",
    "/var/cache/fontconfig",
)
_ETC: Final = re.compile(
    r"alternatives|ca-certificates.*|fonts|gai\.conf|group|host\.conf|hostname|hosts|inputrc"
    r"|ld\.so\..*|locale.*|localtime|magic.*|mime\.types|nsswitch\.conf|os-release|passwd|pki"
    r"|profile|profile\.d|protocols|resolv\.conf|services|ssl|terminfo|timezone|vulkan"
    r"|(OpenCL|ImageMagick|java|openmpi|openfoam|python)[\w.-]*"
)
"""Of /etc, what libraries read; not what holds secrets."""

INSTALLED: Final = "models"
"""The folder of the data folder that holds the models that were installed."""

_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_GPU: Final = re.compile(r"nvidia.*|dri|kfd")
_NO_HOME: Final = frozenset(("/", "/home", "/root", "/srv", "/tmp", "/var", "/etc", "/mnt"))  # noqa: S108  # never given whole


def readable(
    manifest: Manifest, argv: Sequence[str], passed: Mapping[str, str], hidden: Iterable[str]
) -> list[str]:
    """The libraries of the system, the platform's own Python and the program's, the runner's folder
    with what it links to, and whatever the command or a passed variable names by a whole path. A
    passed variable that names an interpreter gives its environment too, and one that names a
    program in Python the folder that this lies in.

    Nothing of ``hidden`` but a runner or a Python that the operator has put there, and of an
    installed model that is named (``models/NAME``) the whole.
    """
    secret = [os.path.realpath(path) for path in hidden]
    named = [word for word in argv if word.startswith("/")]
    for value in passed.values():
        named += [each for part in value.split(os.pathsep) for each in (part, *_at_home(part))]
    wanted = [
        *_common(),
        *_folder(manifest.folder),
        *_interpreter(argv[0]),
        *(path for path in named if _may_be_named(path, secret)),
        *(place for path in named if (place := _installed(path, secret))),
    ]
    return [*dict.fromkeys(part for path in wanted for part in _around(path, secret))]


def devices(manifest: Manifest) -> list[str]:
    """What every program may use, and the graphics cards where the manifest asks for one."""
    names = list(_DEVICES)
    if manifest.resources.gpu:
        names += [name for name in os.listdir("/dev") if _GPU.fullmatch(name)]
    return [f"/dev/{name}" for name in names]


@cache
def _common() -> tuple[str, ...]:
    """The system's libraries, the platform's own Python, and what is on the path of commands."""
    packages = (Path(module.__file__ or "/").parents[1] for module in (usina, usina_runner))
    return (
        *_SYSTEM,
        *(f"/etc/{name}" for name in sorted(os.listdir("/etc")) if _ETC.fullmatch(name)),
        sys.prefix,
        sys.base_prefix,
        *map(str, packages),
        *_linked_packages(),
        *(path for path in os.get_exec_path() if path.startswith("/") and path not in _NO_HOME),
    )


def _linked_packages() -> Iterator[str]:
    """Folders that the site-packages name in ``.pth`` files, as editable installations do."""
    for folder in site.getsitepackages():
        for file in sorted(Path(folder).glob("*.pth")):
            for line in file.read_text("utf-8", "replace").splitlines():
                if line.startswith("/") and os.path.isdir(line) and line not in _NO_HOME:
                    yield line


def _folder(folder: Path) -> Iterator[str]:
    """A runner's folder; links at its top are the operator's own words."""
    yield str(folder)
    try:
        yield from (os.path.realpath(path) for path in folder.iterdir() if path.is_symlink())
    except OSError:
        return


def _interpreter(program: str) -> Iterator[str]:
    """The environment that a program belongs to, of Python or of Conda, and the one below it."""
    for path in dict.fromkeys((program, os.path.realpath(program))):
        yield path
        prefix = os.path.dirname(os.path.dirname(path))
        marks = ("pyvenv.cfg", "conda-meta", f"lib/{os.path.basename(path)}")
        if prefix not in _NO_HOME and any(os.path.exists(f"{prefix}/{mark}") for mark in marks):
            yield prefix


def _at_home(path: str) -> Iterator[str]:
    """What a program of another environment is nothing without."""
    if not os.path.isfile(path):
        return
    if path.endswith(".py"):
        yield os.path.dirname(os.path.realpath(path))
    elif os.access(path, os.X_OK):
        yield from _interpreter(path)


def _around(path: str, secret: Sequence[str]) -> Iterator[str]:
    """The path, or its parts but for what is secret."""
    real = os.path.realpath(path)
    if real in secret:
        return
    if not any(_within(hidden, real) for hidden in secret):
        yield path
        return
    try:
        names = sorted(os.listdir(real))
    except OSError:
        return
    for name in names:
        yield from _around(f"{real.rstrip('/')}/{name}", secret)


def _may_be_named(path: str, secret: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    return (
        path.startswith("/")
        and real not in _NO_HOME
        and not any(_within(real, folder) for folder in secret)
    )


def _installed(path: str, secret: Sequence[str]) -> str | None:
    """The folder of the installed model that the path lies in."""
    real = os.path.realpath(path)
    for folder in secret:
        top = f"{folder.rstrip('/')}/{INSTALLED}/"
        if path.startswith("/") and real.startswith(top):
            return top + real.removeprefix(top).partition("/")[0]
    return None


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
