"""What OpenFOAM's programs say: a solver's iterations as they come, and a mesh's quality."""

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

_TIME: Final = re.compile(r"Time = (\d+)$")
_RESIDUAL: Final = re.compile(r"Solving for (\w+), Initial residual = ([^,]+),")
_SURFACE: Final = re.compile(r"\s+(areaAverage|sum)\((inlet|outlet)\) of (p|phi) = (\S+)")
_CONTINUITY: Final = re.compile(r"time step continuity errors : sum local = ([^,]+),")
_BLOWN_UP: Final = 1e6
_PRESSURE_BLOWN_UP: Final = 1e9
FIELDS: Final = ("p", "Ux", "Uy", "Uz")


@dataclass(slots=True)
class History:
    """One row for each finished iteration: its number, the kinematic pressure at the inlet in
    m2/s2, the flow out of the tube over that into it, and the initial residuals by field."""

    iterations: list[int] = field(default_factory=list[int])
    pressures: list[float] = field(default_factory=list[float])
    balances: list[float] = field(default_factory=list[float])
    residuals: dict[str, list[float]] = field(
        default_factory=lambda: {name: list[float]() for name in FIELDS}
    )

    def as_json(self, upto: int | None = None) -> dict[str, Any]:
        """The rows as columns, those to iteration ``upto`` alone when it is told."""
        count = sum(upto is None or number <= upto for number in self.iterations)
        return {
            "iterations": self.iterations[:count],
            "pressures": self.pressures[:count],
            "balances": self.balances[:count],
            "residuals": {name: told[:count] for name, told in self.residuals.items()},
        }

    def table(self, rows: int = 20) -> str:
        """Some of the iterations for people, the last among them; empty when there are none."""
        count = len(self.iterations)
        shown = sorted({count - 1 - count * row // rows for row in range(rows)} if count else [])
        head = f"{'iteration':>10}{'pressure m2/s2':>16}" + "".join(f"{n:>12}" for n in FIELDS)
        lines = [
            f"{self.iterations[row]:>10}{self.pressures[row]:>16.5g}"
            + "".join(f"{self.residuals[name][row]:>12.2e}" for name in FIELDS)
            for row in shown
        ]
        return "\n".join([head, *lines]) if lines else ""


@dataclass(slots=True)
class Monitor:
    """Hears a solver line by line and adds what it says to ``history``.

    ``diverged`` is true as soon as a figure is none or beyond all bounds.
    ``scale`` is the square of the velocity, by which a pressure is judged to have blown up.
    """

    scale: float
    history: History = field(default_factory=History)
    diverged: bool = False
    _iteration: int = 0
    _found: dict[str, float] = field(default_factory=dict[str, float])

    def hear(self, line: str) -> bool:
        """Whether the line ends an iteration."""
        if match := _TIME.match(line):
            self._iteration, self._found = int(match[1]), {}
        elif match := _RESIDUAL.search(line):
            self._found.setdefault(match[1], self._number(match[2]))
        elif match := _SURFACE.match(line):
            self._hear_surface(match[1], match[2], self._number(match[4]))
        elif match := _CONTINUITY.match(line):
            self._bound(self._number(match[1]), _BLOWN_UP)
        return self._complete()

    def steady(self, count: int, share: float, start: int) -> bool:
        """Whether the pressure stayed within a share of itself over the last ``count`` iterations
        after iteration ``start``."""
        last = self.history.pressures[-count:]
        if len(last) < count or self.history.iterations[-count] <= start:
            return False
        return max(last) - min(last) <= share * abs(sum(last) / count)

    def drift(self, count: int) -> float:
        """The span of the last ``count`` pressures over their mean."""
        last = self.history.pressures[-count:]
        mean = abs(sum(last) / len(last)) if last else 0.0
        return (max(last) - min(last)) / mean if mean else math.nan

    def imbalance(self, count: int) -> float:
        """What left more than entered over the last ``count`` iterations, as a share of it."""
        last = self.history.balances[-count:]
        return sum(last) / len(last) - 1 if last else math.nan

    def _hear_surface(self, operation: str, patch: str, value: float) -> None:
        if operation == "areaAverage":
            self._found["pressure"] = value
            self._bound(value, _PRESSURE_BLOWN_UP * self.scale)
        else:
            self._found[patch] = value

    def _complete(self) -> bool:
        """The outlet's flow is the last that an iteration tells."""
        if "outlet" not in self._found:
            return False
        history = self.history
        inflow = -self._found.get("inlet", 0.0)
        history.balances.append(self._found["outlet"] / inflow if inflow else math.nan)
        history.iterations.append(self._iteration)
        history.pressures.append(self._found.get("pressure", math.nan))
        for name in FIELDS:
            history.residuals[name].append(self._found.get(name, math.nan))
        self._found = {}
        return True

    def _bound(self, value: float, most: float) -> None:
        if not abs(value) < most:
            self.diverged = True

    def _number(self, text: str) -> float:
        """A number that is none is a solver that has diverged."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.diverged = True
        return value


@dataclass(frozen=True, slots=True)
class MeshQuality:
    """What ``checkMesh`` says; ``failed`` is how many of its own checks."""

    cells: int
    regions: int
    non_orthogonality: float
    skewness: float
    aspect_ratio: float
    volume_m3: float
    failed: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def read_quality(text: str) -> MeshQuality:
    """Of the output of ``checkMesh``; raises ``ValueError`` when a figure is not there."""
    return MeshQuality(
        cells=int(_figure(text, r"^\s+cells:\s+(\d+)")),
        regions=int(_figure(text, r"Number of regions: (\d+)")),
        non_orthogonality=_figure(text, r"Mesh non-orthogonality Max: (\S+)"),
        skewness=_figure(text, r"Max skewness = ([^,\s]+)"),
        aspect_ratio=_figure(text, r"Max aspect ratio = ([^,\s]+)"),
        volume_m3=_figure(text, r"Total volume = ([\d.e+-]*\d)"),
        failed=0 if "Mesh OK." in text else int(_figure(text, r"Failed (\d+) mesh checks")),
    )


def read_version(text: str) -> str:
    """OpenFOAM's own, of the head of any log."""
    match = re.search(r"^Build\s*:.*\bOPENFOAM=(\d+)", text, re.MULTILINE)
    return f"v{match[1]}" if match else "of an unknown version"


def _figure(text: str, pattern: str) -> float:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise ValueError(f"checkMesh said nothing of {pattern}")
    return float(match[1])
