"""What Usina adds to OpenFOAM: writing the case, reading what it says, drawing, packing and
reporting, against the time that OpenFOAM's own programs take in the same run. Seconds are those of
the processor, children included."""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.job import job_in
from usina.apps.cfd.app import app
from usina.apps.cfd.foam import flow
from usina.apps.cfd.foam.workshop import Workshop

ADDED_MOST: Final = 0.10
_MODEL: Final = "bed-flow-openfoam"
_BED: Final = Path(__file__).parents[1] / "tests" / "cfd" / "foam" / "bed.csv"


class Meter:
    """Processor seconds of children, those of one kind of call."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **more: Any) -> Any:
            before = _children()
            try:
                return call(*arguments, **more)
            finally:
                self.seconds += _children() - before

        return measured


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    programs = Meter()
    Workshop.run = programs.around(Workshop.run)
    with tempfile.TemporaryDirectory() as home:
        began, children = time.process_time(), _children()
        job = job_in(
            Path(home) / "job",
            _MODEL,
            {"bed": _BED.read_bytes()},
            room=app,
            velocity_m_s=[0.05, 0.1, 0.3],
        )
        flow.flow_through(job)
        own = time.process_time() - began
        drawing = _children() - children - programs.seconds
    added = own + drawing
    share = added / programs.seconds
    print(f"OpenFOAM's programs {programs.seconds:7.1f} s")
    print(f"reading and writing {own:7.1f} s")
    print(f"drawing fields      {drawing:7.1f} s")
    print(f"Usina adds {share:.1%} (aim at most {ADDED_MOST:.0%})")
    return int(share > ADDED_MOST)


if __name__ == "__main__":
    sys.exit(main())
