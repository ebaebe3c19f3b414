"""What a run is made of; all that is random in it comes from the seed."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

LEASE_SECONDS: Final = 3.0
HEARTBEAT_SECONDS: Final = 0.5
LONGEST_STOP_SECONDS: Final = 6.0
"""Of a SIGSTOP: well beyond a lease."""


@dataclass(frozen=True)
class Plan:
    """``folder`` is where the evidence lies. ``kills`` counts faults of every kind."""

    seed: int
    jobs: int
    kills: int
    folder: Path
    workers: int = 4
    organizations: int = 3
    clients: int = 6
    most_unfinished: int = 40
    drain_seconds: float = 120.0

    @property
    def store(self) -> Literal["bucket", "folder"]:
        return "folder" if self.seed % 4 == 0 else "bucket"

    def random(self, who: str) -> random.Random:
        """Somebody's own source, so that what one draws does not hang on who came first."""
        return random.Random(f"{self.seed} {who}")
