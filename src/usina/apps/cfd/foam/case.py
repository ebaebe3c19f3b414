"""The case of a flow: every file that OpenFOAM reads, written from typed numbers alone.

Schemes and meshing controls are those that were found to give the pressure drop of beds within a
few per cent of the literature, with no bad cell at contacts (docs/architecture/22).
"""

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from usina.apps.cfd.foam.dictionary import (
    Dimensions,
    Line,
    Quoted,
    Value,
    Word,
    render,
    words,
)
from usina.apps.cfd.foam.layout import BULGE, CORNER, MOST_CELLS, Grid, Layout
from usina.apps.cfd.foam.option import Fluid

StopAt = Literal["endTime", "writeNow"]
SURFACE: Final = "particles.stl"
_OLDER_SECONDS: Final = 3600
_QUALITY: Final[Mapping[str, Value]] = {
    "maxNonOrtho": 65,
    "maxBoundarySkewness": 20,
    "maxInternalSkewness": 4,
    "maxConcave": 80,
    "minVol": 1e-16,
    "minTetQuality": 1e-15,
    "minArea": -1,
    "minTwist": 0.02,
    "minDeterminant": 0.001,
    "minFaceWeight": 0.05,
    "minVolRatio": 0.01,
    "minTriangleTwist": -1,
    "nSmoothScale": 4,
    "errorReduction": 0.75,
}
_PER_SQUARE_SECOND: Final = Dimensions((0, 2, -2, 0, 0, 0, 0))
_PER_SECOND: Final = Dimensions((0, 1, -1, 0, 0, 0, 0))
_VISCOSITY: Final = Dimensions((0, 2, -1, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Control:
    """How far a solver goes: to iteration ``until``, keeping its fields every ``keep_seconds``."""

    until: int
    keep_seconds: float | None = None
    stop_at: StopAt = "endTime"


def write_case(folder: Path, layout: Layout, fluid: Fluid, velocity: float) -> None:
    """Everything but the particles' surface and the control of the solver."""
    for name in ("system", "constant/triSurface", "0.orig"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write(folder, "system/blockMeshDict", _block_mesh(layout))
    _write(folder, "system/snappyHexMeshDict", _snappy(layout))
    _write(folder, "system/fvSchemes", _schemes())
    _write(folder, "system/fvSolution", _solution())
    _write(folder, "constant/transportProperties", _transport(fluid))
    _write(folder, "constant/turbulenceProperties", {"simulationType": Word("laminar")})
    _write(folder, "0.orig/U", _velocity(velocity), "volVectorField")
    _write(folder, "0.orig/p", _pressure(), "volScalarField")


def write_control(folder: Path, control: Control) -> None:
    """Replaced whole, so that a running solver never reads half of it. OpenFOAM takes a file for
    changed when it is more than ten seconds newer, so one to start with is given an older time."""
    keeping: dict[str, Value] = {"writeControl": Word("timeStep"), "writeInterval": control.until}
    if control.keep_seconds is not None:
        keeping = {"writeControl": Word("clockTime"), "writeInterval": control.keep_seconds}
    content: dict[str, Value] = {
        "application": Word("simpleFoam"),
        "startFrom": Word("latestTime"),
        "startTime": 0,
        "stopAt": Word(control.stop_at),
        "endTime": control.until,
        "deltaT": 1,
        **keeping,
        "purgeWrite": 2,
        "writeFormat": Word("binary"),
        "writePrecision": 8,
        "writeCompression": False,
        "timeFormat": Word("general"),
        "timePrecision": 8,
        "runTimeModifiable": True,
        "functions": {
            "inletPressure": _surface("inlet", "areaAverage", "p"),
            "inletFlow": _surface("inlet", "sum", "phi"),
            "outletFlow": _surface("outlet", "sum", "phi"),
        },
    }
    fresh = folder / "system" / "controlDict.new"
    fresh.write_text(render("dictionary", "controlDict", content), "ascii")
    if control.stop_at == "endTime":
        before = time.time() - _OLDER_SECONDS
        os.utime(fresh, (before, before))
    fresh.replace(folder / "system" / "controlDict")


def write_parts(folder: Path, parts: int) -> None:
    """In how many slices along the tube a case is worked on."""
    content: dict[str, Value] = {
        "numberOfSubdomains": parts,
        "method": Word("hierarchical"),
        "coeffs": {"n": [1, 1, parts]},
    }
    _write(folder, "system/decomposeParDict", content)


def _write(folder: Path, path: str, content: Mapping[str, Value], kind: str = "dictionary") -> None:
    (folder / path).write_text(render(kind, path.rpartition("/")[2], content), "ascii")


def _surface(patch: str, operation: str, of: str) -> Mapping[str, Value]:
    return {
        "type": Word("surfaceFieldValue"),
        "libs": [Quoted("libfieldFunctionObjects.so")],
        "writeControl": Word("timeStep"),
        "writeInterval": 1,
        "log": True,
        "writeFields": False,
        "regionType": Word("patch"),
        "name": Word(patch),
        "operation": Word(operation),
        "fields": [Word(of)],
    }


def _block_mesh(layout: Layout) -> Mapping[str, Value]:
    """Corners are counted around the inner square, then around the wall, from below and again from
    above. The wall is a polygon of the circle's area, so that the velocity is that of the tube."""
    grid = layout.grid
    step = 2 * math.pi / (4 * grid.across)
    radius = layout.radius_m * math.sqrt(step / math.sin(step))
    quarters = [(corner, (corner + 1) % 4) for corner in range(4)]
    around = [[4 + one, 4 + other, other, one] for one, other in quarters]
    blocks = _block([0, 1, 2, 3], grid.across, grid)
    for corners in around:
        blocks += _block(corners, grid.outward, grid)
    inlet: list[Value] = [[0, 3, 2, 1], *(corners[::-1] for corners in around)]
    outlet: list[Value] = [[8, 9, 10, 11], *(_above(corners) for corners in around)]
    tube: list[Value] = [[4 + one, 4 + other, 12 + other, 12 + one] for one, other in quarters]
    heights = (layout.low_m, layout.high_m)
    rings = (CORNER * radius, radius)
    return {
        "convertToMeters": 1,
        "vertices": [
            _on_ring(far, quarter, height)
            for height in heights
            for far in rings
            for quarter in range(4)
        ],
        "blocks": blocks,
        "edges": _arcs(quarters, heights, (BULGE * radius, radius)),
        "boundary": [
            *(Word("inlet"), {"type": Word("patch"), "faces": inlet}),
            *(Word("outlet"), {"type": Word("patch"), "faces": outlet}),
            *(Word("tube"), {"type": Word("wall"), "faces": tube}),
        ],
    }


def _block(corners: list[int], outward: int, grid: Grid) -> list[Value]:
    cells = [grid.across, outward, grid.along]
    return [Word("hex"), [*corners, *_above(corners)], cells, Word("simpleGrading"), [1, 1, 1]]


def _above(corners: list[int]) -> list[int]:
    return [corner + 8 for corner in corners]


def _on_ring(far: float, quarter: float, height: float) -> list[float]:
    turn = math.radians(225 + 90 * quarter)
    return [far * math.cos(turn), far * math.sin(turn), height]


def _arcs(
    quarters: list[tuple[int, int]], heights: tuple[float, float], middles: tuple[float, float]
) -> list[Value]:
    """The sides of the square and of the wall, bent through points at the radii ``middles``."""
    arcs: list[Value] = []
    for base, height in zip((0, 8), heights, strict=True):
        for ring, far in zip((0, 4), middles, strict=True):
            for one, other in quarters:
                first, last = base + ring + one, base + ring + other
                arcs += [Word("arc"), first, last, _on_ring(far, one + 0.5, height)]
    return arcs


def _snappy(layout: Layout) -> Mapping[str, Value]:
    level = layout.option.surface_level
    return {
        "castellatedMesh": True,
        "snap": True,
        "addLayers": False,
        "mergeTolerance": 1e-6,
        "geometry": {
            "bed": {
                "type": Word("triSurfaceMesh"),
                "file": Quoted(SURFACE),
            },
        },
        "castellatedMeshControls": {
            "maxLocalCells": 4 * MOST_CELLS,
            "maxGlobalCells": 4 * MOST_CELLS,
            "minRefinementCells": 0,
            "nCellsBetweenLevels": 1,
            "features": [],
            "refinementSurfaces": {
                "bed": {"level": [level, level], "patchInfo": {"type": Word("wall")}},
            },
            "resolveFeatureAngle": 180,
            "refinementRegions": {},
            "locationInMesh": list(layout.inside),
            "allowFreeStandingZoneFaces": True,
        },
        "snapControls": {
            "nSmoothPatch": 3,
            "tolerance": 2.0,
            "nSolveIter": 50,
            "nRelaxIter": 5,
            "nFeatureSnapIter": 0,
        },
        "addLayersControls": {
            "relativeSizes": True,
            "layers": {},
            "expansionRatio": 1.0,
            "finalLayerThickness": 0.3,
            "minThickness": 0.1,
        },
        "meshQualityControls": _QUALITY,
    }


def _schemes() -> Mapping[str, Value]:
    return {
        "ddtSchemes": {"default": Word("steadyState")},
        "gradSchemes": {
            "default": words("Gauss linear"),
            "grad(U)": Line((*words("cellLimited Gauss linear"), 1)),
        },
        "divSchemes": {
            "default": Word("none"),
            "div(phi,U)": words("bounded Gauss linearUpwind grad(U)"),
            "div((nuEff*dev2(T(grad(U)))))": words("Gauss linear"),
        },
        "laplacianSchemes": {"default": Line((*words("Gauss linear limited"), 0.5))},
        "interpolationSchemes": {"default": Word("linear")},
        "snGradSchemes": {"default": Line((Word("limited"), 0.5))},
    }


def _solution() -> Mapping[str, Value]:
    return {
        "solvers": {
            "p": {
                "solver": Word("GAMG"),
                "smoother": Word("GaussSeidel"),
                "tolerance": 1e-9,
                "relTol": 0.003,
            },
            "U": {
                "solver": Word("smoothSolver"),
                "smoother": Word("symGaussSeidel"),
                "tolerance": 1e-10,
                "relTol": 0.1,
            },
        },
        "SIMPLE": {"nNonOrthogonalCorrectors": 0, "consistent": False},
        "relaxationFactors": {"fields": {"p": 0.3}, "equations": {"U": 0.7}},
    }


def _transport(fluid: Fluid) -> Mapping[str, Value]:
    return {
        "transportModel": Word("Newtonian"),
        "nu": Line((Word("nu"), _VISCOSITY, fluid.kinematic_m2_s)),
    }


def _velocity(velocity: float) -> Mapping[str, Value]:
    still = Line((Word("uniform"), [0, 0, 0]))
    moving = Line((Word("uniform"), [0, 0, velocity]))
    return {
        "dimensions": _PER_SECOND,
        "internalField": moving,
        "boundaryField": {
            "inlet": {"type": Word("fixedValue"), "value": moving},
            "outlet": {"type": Word("pressureInletOutletVelocity"), "value": still},
            "tube": {"type": Word("noSlip")},
            "bed": {"type": Word("noSlip")},
        },
    }


def _pressure() -> Mapping[str, Value]:
    none = Line((Word("uniform"), 0))
    calm: Mapping[str, Value] = {"type": Word("zeroGradient")}
    return {
        "dimensions": _PER_SQUARE_SECOND,
        "internalField": none,
        "boundaryField": {
            "inlet": calm,
            "outlet": {"type": Word("fixedValue"), "value": none},
            "tube": calm,
            "bed": calm,
        },
    }
