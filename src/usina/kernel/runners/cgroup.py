"""Where control groups of programs may be made: below the platform's own, if it was given to us.

A group that has children with controllers may hold no process itself, so the platform moves into a
leaf of its group first. A service manager gives a group by ``Delegate=yes``.

https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Final

_CONTROLLERS: Final = ("memory", "pids")
_LEAF: Final = "usina-platform"


@contextlib.contextmanager
def delegated_group(
    controllers: tuple[str, ...] = _CONTROLLERS,
) -> Generator[tuple[str | None, str]]:
    """The folder to make groups in, or null and why there is none. This process is back in its
    own group at the end."""
    try:
        own = _own_group()
        enabled = _open(own, controllers)
    except OSError as error:
        yield None, f"its group is not ours: {error.strerror}"
        return
    except LookupError as error:
        yield None, str(error.args[0])
        return
    try:
        yield str(own), ""
    finally:
        _close(own, controllers if enabled else ())


def _own_group() -> Path:
    mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    tops = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    groups = Path("/proc/self/cgroup").read_text("utf-8", "replace").splitlines()
    names = [line.removeprefix("0::") for line in groups if line.startswith("0::")]
    if not tops or not names:
        raise LookupError("this machine has no cgroup v2")
    return Path(tops[0] + names[0].rstrip("/"))


def _open(own: Path, controllers: tuple[str, ...]) -> bool:
    """Whether the controllers had to be enabled for the children of the group."""
    have = (own / "cgroup.controllers").read_text().split()
    lacking = [name for name in controllers if name not in have]
    if lacking:
        raise LookupError(f"its group has no controller for {' and '.join(lacking)}")
    if set(controllers) <= set((own / "cgroup.subtree_control").read_text().split()):
        (own / "usina-trial").mkdir()
        (own / "usina-trial").rmdir()
        return False
    leaf = own / _LEAF
    leaf.mkdir(exist_ok=True)
    try:
        (leaf / "cgroup.procs").write_text(str(os.getpid()))
        _control(own, "+", controllers)
    except OSError:
        _close(own, ())
        raise
    return True


def _close(own: Path, enabled: tuple[str, ...]) -> None:
    with contextlib.suppress(OSError):
        _control(own, "-", enabled)
        (own / "cgroup.procs").write_text(str(os.getpid()))
        (own / _LEAF).rmdir()


def _control(own: Path, sign: str, controllers: tuple[str, ...]) -> None:
    if controllers:
        words = " ".join(f"{sign}{name}" for name in controllers)
        (own / "cgroup.subtree_control").write_text(words)
