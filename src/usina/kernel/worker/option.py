"""How a worker works."""

from dataclasses import dataclass
from datetime import timedelta

from usina.kernel.worker.machine import Machine


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    queues: tuple[str, ...]
    machine: Machine
    lease: timedelta
    heartbeat_seconds: float
    poll_seconds: float
    rescue_seconds: float
    """How often leases are looked over, at least three times in one."""
    grace_seconds: float
    """How long jobs may run on once the worker is stopped."""
    gpu_seconds: float
    """How often the GPUs are looked at."""
