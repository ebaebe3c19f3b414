"""What it leaves behind: no process, no file outside its work folder, no heap in its home."""

from pathlib import Path
from typing import Final

from usina.kernel.ids import new_id
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.observation import COMMON, observe
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.check.visitor import visit

_WRITE: Final = "import sys\nopen(sys.argv[1], 'w').close()\n"
_OWN: Final = {"inputs", "outputs", "job.json"}


async def no_process(subject: Subject) -> str:
    await subject.first()
    seen = await observe(subject)
    if not subject.warm and seen.running:
        raise Broken(f"it ended, and processes {sorted(seen.running)} did not")
    if seen.left:
        raise Broken(f"processes {sorted(seen.left)} outlived it")
    return f"{seen.act.ending}, then none"


async def no_file(subject: Subject) -> str:
    await subject.first()
    seen = await observe(subject)
    if seen.outside:
        raise Broken(
            f"it wrote {', '.join(sorted(map(str, seen.outside))[:5])}; "
            "its own places are the folder it starts in, HOME and TMPDIR"
        )
    if await _gets_out(subject):
        hint = f"; meanwhile appeared {', '.join(map(str, seen.nearby[:3]))}" if seen.nearby else ""
        raise Unchecked(
            f"no layer of the sandbox here keeps a program in; it was not seen to write{hint}"
        )
    return "kept in, and done"


async def _gets_out(subject: Subject) -> bool:
    """Whether a program of this manifest could leave files in folders that all share."""
    path = COMMON[0] / f"usina-visitor-{new_id()}"
    await visit(subject, _WRITE, str(path))
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


async def home(subject: Subject) -> str:
    await subject.first()
    if not subject.warm:
        raise Unchecked("it is cold: its home goes with the job")
    heap = sorted(
        str(path.relative_to(top))
        for top in subject.bench.root.glob("warm-*")
        for path in top.rglob("*")
        if _of_its_own(path.relative_to(top))
    )
    if heap:
        raise Broken(
            f"between jobs its home holds {', '.join(heap[:5])}; "
            "write to the job's work folder, which goes with the job"
        )
    return "empty between jobs"


def _of_its_own(path: Path) -> bool:
    return str(path) not in _OWN


CHECKS: Final = (
    Check("no-process-left", "No process outlives it.", no_process),
    Check("no-file-outside", "It writes nothing outside of its work folder.", no_file),
    Check("home-empty", "Warm, its home is empty between jobs.", home),
)
