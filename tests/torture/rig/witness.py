"""What the programs themselves wrote down, read back."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mark:
    """``at`` is of the monotonic clock, which every process of the machine shares."""

    job: str
    attempt: int
    pid: int
    what: str
    at: float


def read_marks(folder: Path) -> list[Mark]:
    """Every mark, in the order in which they were written."""
    path = folder / "marks"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Mark(**json.loads(line)) for line in lines]
