"""Room: what jobs take of a machine while they run, and what a worker has of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Room:
    """Slots, bytes of memory and GPUs. ``gpu_memory_bytes`` is what each GPU of a job has to have,
    and of a worker's what the largest has."""

    slots: int
    memory_bytes: int
    gpus: int = 0
    gpu_memory_bytes: int = 0

    def holds(self, other: "Room") -> bool:
        """Whether the other fits in here."""
        return (
            other.slots <= self.slots
            and other.memory_bytes <= self.memory_bytes
            and other.gpus <= self.gpus
            and (not other.gpus or other.gpu_memory_bytes <= self.gpu_memory_bytes)
        )

    def less(self, taken: "Room") -> "Room":
        """What is left, nothing where more is taken than there is."""
        return Room(
            max(0, self.slots - taken.slots),
            max(0, self.memory_bytes - taken.memory_bytes),
            max(0, self.gpus - taken.gpus),
            self.gpu_memory_bytes,
        )

    def plus(self, given: "Room") -> "Room":
        return Room(
            self.slots + given.slots,
            self.memory_bytes + given.memory_bytes,
            self.gpus + given.gpus,
            self.gpu_memory_bytes,
        )

    def of(self, whole: "Room") -> "Room":
        """What a job that needs this takes of a machine: with fewer slots than it asks for, all."""
        return replace(self, slots=min(self.slots, whole.slots))

    def missing_in(self, rooms: Sequence["Room"]) -> str:
        """Why none of the machines holds it, for people: the first need that is beyond all."""
        gpus, card = max(r.gpus for r in rooms), max(r.gpu_memory_bytes for r in rooms)
        memory = max(r.memory_bytes for r in rooms)
        if gpus < self.gpus:
            return f"it takes {self.gpus} GPU and no worker has more than {gpus} in service"
        if self.gpus and card < self.gpu_memory_bytes:
            wanted = f"it takes a GPU with {_gib(self.gpu_memory_bytes)}"
            return f"{wanted} and the largest in service has {_gib(card)}"
        if memory < self.memory_bytes:
            wanted = f"it takes {_gib(self.memory_bytes)} of memory"
            return f"{wanted} and no worker has over {_gib(memory)}"
        return "no worker has the GPUs and the memory that it takes together"


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"
