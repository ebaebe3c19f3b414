"""Where OpenFOAM lies on this machine, and what its programs need around them.

Debian's package needs nothing but ``WM_PROJECT_DIR``; its ``bashrc`` is broken and is not used. An
OpenFOAM of one's own is named by that same variable: its programs lie in ``platforms/*/bin``.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VARIABLE: Final = "WM_PROJECT_DIR"
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
    """``programs`` are paths by name; ``environment`` is all that they get."""

    project: Path
    programs: Mapping[str, str]
    environment: Mapping[str, str]


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
    found = {name: shutil.which(name, path=path) for name in (*_SERIAL, *_PARALLEL)}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        raise NotInstalled(
            f"OpenFOAM at {project} lacks {', '.join(missing)}: install the whole package "
            "(apt-get install openfoam openmpi-bin)."
        )
    libraries = [str(lib) for lib in project.glob("platforms/*/lib*")]
    libraries += [str(lib) for lib in project.glob("platforms/*/lib/*openmpi*")]
    return Installation(
        project,
        {name: place for name, place in found.items() if place is not None},
        {
            **_MPI,
            VARIABLE: str(project),
            "PATH": path,
            "LANG": "C",
            "TMPDIR": "/dev/shm",  # noqa: S108  # as above
            **({"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {}),
        },
    )
