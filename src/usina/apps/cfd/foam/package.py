"""``case.zip``: the case of a flow, that OpenFOAM runs anywhere without Usina.

It holds dictionaries, the particles' surface and two scripts, no mesh and no field: those are made
again by ``Allrun``, the same to rounding.
"""

import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from usina.apps.cfd.foam.case import SURFACE, Control, write_control, write_parts

_FILES: Final = (
    "system/blockMeshDict",
    "system/snappyHexMeshDict",
    "system/controlDict",
    "system/decomposeParDict",
    "system/fvSchemes",
    "system/fvSolution",
    "constant/transportProperties",
    "constant/turbulenceProperties",
    f"constant/triSurface/{SURFACE}",
    "0.orig/U",
    "0.orig/p",
)
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
"""The same case is the same archive."""


def write_package(
    target: Path, folder: Path, velocities: Sequence[float], iterations: int, version: str
) -> None:
    """Of the case in ``folder``, after its solver has ended: its control is written anew, with so
    many iterations for each velocity."""
    write_control(folder, Control(iterations))
    write_parts(folder, 1)
    speeds = " ".join(repr(velocity) for velocity in velocities)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name in _FILES:
            _add(archive, name, (folder / name).read_bytes())
        _add(archive, "Allrun", _ALLRUN.format(velocities=speeds).encode("ascii"), 0o755)
        _add(archive, "Allclean", _ALLCLEAN.encode("ascii"), 0o755)
        readme = _README.format(velocities=speeds, iterations=iterations, version=version)
        _add(archive, "README.md", readme.encode("ascii"))


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | mode) << 16
    archive.writestr(entry, data)


_ALLRUN: Final = """\
#!/bin/sh
# Meshes the bed and solves for each velocity. Velocities may be given: ./Allrun 0.1 0.3
set -e
cd "$(dirname "$0")"
# All that Debian's OpenFOAM needs. With one of your own, source its etc/bashrc first.
: "${{WM_PROJECT_DIR:=/usr/share/openfoam}}"
export WM_PROJECT_DIR
run() {{ echo "Running $1"; "$@" > "log.$1" 2>&1; }}
[ $# -gt 0 ] || set -- {velocities}
run blockMesh
run snappyHexMesh -overwrite
run checkMesh -constant
for velocity in "$@"; do
    rm -rf [0-9] [0-9]*[0-9]
    cp -r 0.orig 0
    foamDictionary -entry boundaryField.inlet.value -set "uniform (0 0 $velocity)" 0/U > /dev/null
    run simpleFoam
    mv log.simpleFoam "log.simpleFoam.$velocity"
    echo "$velocity m/s: $(grep 'areaAverage(inlet) of p' "log.simpleFoam.$velocity" | tail -n 1)"
done
"""
_ALLCLEAN: Final = """\
#!/bin/sh
# Leaves what was unpacked.
cd "$(dirname "$0")" && rm -rf 0 [1-9]* constant/polyMesh postProcessing log.* dynamicCode
"""
_README: Final = """\
# Flow through a packed bed, for OpenFOAM

Made and solved with OpenFOAM {version}; any version of openfoam.com from v1912 on should do.

    ./Allrun              velocities in m/s: {velocities}
    ./Allrun 0.05 0.2     others
    ./Allclean

Debian and Ubuntu: `apt-get install openfoam`; nothing has to be sourced, `Allrun` sets
`WM_PROJECT_DIR`. Elsewhere source OpenFOAM's `etc/bashrc` first.

Each velocity takes {iterations} iterations of simpleFoam, laminar. Lengths are in metres, the axis
is z, the bed stands on z = 0. `p` is kinematic (m2/s2): times the density it is in Pa. Its mean at
the inlet is the pressure drop, since it is 0 at the outlet.
"""
