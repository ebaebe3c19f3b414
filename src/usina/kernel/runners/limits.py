"""What a program may use, beside the memory of its manifest and the time of its job."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """Every bound of a program.

    One that is to stop is told at once; counted from then, its tree gets TERM after
    ``term_seconds`` and KILL after ``kill_seconds``.
    """

    log_bytes: int = 10 * 1024**2
    line_bytes: int = 64 * 1024
    artifacts: int = 1000
    metrics: int = 200
    processes: int = 512
    file_bytes: int = 20 * 1024**3
    open_files: int = 4096
    disk_bytes: int = 100 * 1024**3
    files: int = 500_000
    warm_idle_seconds: float = 300.0
    warm_jobs: int = 10_000
    warm_count: int = 8
    warm_bytes: int = 8 * 1024**3
    warm_growth: float = 2.0
    term_seconds: float = 1.0
    kill_seconds: float = 3.0
