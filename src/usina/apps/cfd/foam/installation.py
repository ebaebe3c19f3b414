"""Where OpenFOAM lies on this machine, and what its programs need around them.

Debian's package needs nothing but ``WM_PROJECT_DIR``; its ``bashrc`` is broken and is not used. An
OpenFOAM of one's own is named by that same variable: its programs lie in ``platforms/*/bin``.

There are two lines of OpenFOAM. That of openfoam.com is written for, from v1912 on; that of
openfoam.org has other names of files and programs (``momentumTransport``, ``physicalProperties``,
``foamRun``) and is told so before anything is written.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VARIABLE: Final = "WM_PROJECT_DIR"
OLDEST: Final = 1912
"""Of openfoam.com; a version is the year and the month."""

_ASKED: Final = "blockMesh"
_SECONDS: Final = 30
_COM: Final = re.compile(r"Using: +OpenFOAM-\S* *\(v?(\d{4})\d*\).*openfoam\.com")
_ORG: Final = re.compile(r"Using: +OpenFOAM-(\S+).*openfoam\.org")
_DEBIAN: Final = Path("/usr/share/openfoam")
_SERIAL: Final = (
    "blockMesh",
    "snappyHexMesh",
    "checkMesh",
    "postProcess",
    "simpleFoam",
    "foamToVTK",
)
_PARALLEL: Final = ("decomposePar", "reconstructPar", "reconstructParMesh", "mpirun")
_MPI: Final = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_btl": "self,vader",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # it wants calls that the sandbox denies
    "OMPI_MCA_oob_tcp_if_include": "lo",
    "OMPI_MCA_plm_rsh_agent": "false",
    "OMPI_MCA_orte_tmpdir_base": "/dev/shm",  # noqa: S108  # a program's own, with a short name
}
"""Open MPI on one machine, as root, with more ranks than cores if it must be."""


class NotInstalled(Exception):
    """OpenFOAM can not run here; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Installation:
    """``programs`` are paths by name; ``environment`` is all that they get. ``version`` is as
    ``v1912``; ``long_labels`` whether its meshes count with 64 bits."""

    project: Path
    programs: Mapping[str, str]
    environment: Mapping[str, str]
    version: str
    long_labels: bool


def find_installation(environment: Mapping[str, str] = os.environ) -> Installation:
    """The one that ``WM_PROJECT_DIR`` names, else Debian's. Raises `NotInstalled`."""
    told = environment.get(VARIABLE, "")
    project = Path(told) if told else _DEBIAN
    if not (project / "etc" / "controlDict").is_file():
        raise NotInstalled(
            f"There is no OpenFOAM at {project}: install it (apt-get install openfoam), or set "
            f"{VARIABLE} to the folder of yours that holds etc/controlDict."
        )
    places = [*sorted(str(path) for path in project.glob("platforms/*/bin"))]
    path = os.pathsep.join([*places, environment.get("PATH", os.defpath)])
    libraries = [str(lib) for lib in project.glob("platforms/*/lib*")]
    libraries += [str(lib) for lib in project.glob("platforms/*/lib/*openmpi*")]
    given = {
        **_MPI,
        VARIABLE: str(project),
        "PATH": path,
        "LANG": "C",
        "TMPDIR": "/dev/shm",  # noqa: S108  # as above
        **({"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {}),
    }
    said = _ask(project, path, given)
    version = _version(project, said) if said is not None else ""
    programs = _programs(project, path)
    return Installation(project, programs, given, version, "label=64" in (said or ""))


def _programs(project: Path, path: str) -> dict[str, str]:
    found = {name: shutil.which(name, path=path) for name in (*_SERIAL, *_PARALLEL)}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        raise NotInstalled(
            f"OpenFOAM at {project} lacks {', '.join(missing)}: install the whole package "
            "(apt-get install openfoam openmpi-bin)."
        )
    return {name: place for name, place in found.items() if place is not None}


def _ask(project: Path, path: str, environment: Mapping[str, str]) -> str | None:
    """What a program says of itself; null where it is not there."""
    program = shutil.which(_ASKED, path=path)
    if program is None:
        return None
    try:
        asked = subprocess.run(
            [program, "-help"],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"OpenFOAM at {project} does not start: {error}") from None
    return asked.stdout + asked.stderr


def _version(project: Path, said: str) -> str:
    """Raises `NotInstalled` for a version that this program does not write for."""
    if (org := _ORG.search(said)) is not None:
        raise NotInstalled(
            f"OpenFOAM at {project} is version {org[1]} of openfoam.org, whose cases are written "
            f"otherwise: set {VARIABLE} to one of openfoam.com, v{OLDEST} or newer "
            "(apt-get install openfoam)."
        )
    if "scalar=32" in said:
        raise NotInstalled(
            f"OpenFOAM at {project} computes in single precision, which is too coarse for a "
            f"pressure drop: set {VARIABLE} to one built with double precision (WM_DP)."
        )
    com = _COM.search(said)
    if com is None:
        lines = [line for line in said.splitlines() if line.strip()]
        raise NotInstalled(
            f"OpenFOAM at {project} does not say its version ({lines[-1] if lines else 'silent'}): "
            f"set {VARIABLE} to one of openfoam.com, v{OLDEST} or newer."
        )
    if int(com[1]) < OLDEST:
        raise NotInstalled(
            f"OpenFOAM at {project} is v{com[1]}, too old: v{OLDEST} or newer is needed; set "
            f"{VARIABLE} to such a one."
        )
    return f"v{com[1]}"
