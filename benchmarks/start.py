"""From ``usina up`` to its ready line on a folder that is there already, and its memory at rest."""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.embedded import platform

SECONDS_MOST: Final = 2.0
RESIDENT_MOST_MB: Final = 200
_ROUNDS: Final = 5
_REST_SECONDS: Final = 2.0


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no VmRSS line")


def main() -> int:
    seconds: list[float] = []
    resident: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with platform(data):
            pass
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            with platform(data) as started:
                seconds.append(time.perf_counter() - began)
                time.sleep(_REST_SECONDS)
                resident.append(_resident_mb(started.process.pid))
    start, memory = statistics.median(seconds), statistics.median(resident)
    print(
        f"ready after {start:.2f} s (aim at most {SECONDS_MOST:g}); "
        f"{memory:.0f} MB at rest (aim below {RESIDENT_MOST_MB})"
    )
    return int(start > SECONDS_MOST or memory >= RESIDENT_MOST_MB)


if __name__ == "__main__":
    sys.exit(main())
