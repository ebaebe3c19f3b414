"""Room: what jobs take of a machine while they run, and what a worker has of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """Slots, bytes of memory and GPUs."""

    slots: int
    memory_bytes: int
    gpus: int = 0

    def holds(self, other: "Room") -> bool:
        """Whether the other fits in here."""
        return (
            other.slots <= self.slots
            and other.memory_bytes <= self.memory_bytes
            and other.gpus <= self.gpus
        )

    def less(self, taken: "Room") -> "Room":
        """What is left, nothing where more is taken than there is."""
        return Room(
            max(0, self.slots - taken.slots),
            max(0, self.memory_bytes - taken.memory_bytes),
            max(0, self.gpus - taken.gpus),
        )

    def plus(self, given: "Room") -> "Room":
        return Room(
            self.slots + given.slots,
            self.memory_bytes + given.memory_bytes,
            self.gpus + given.gpus,
        )

    def of(self, whole: "Room") -> "Room":
        """What a job that needs this takes of a machine: with fewer slots than it asks for, all."""
        return Room(min(self.slots, whole.slots), self.memory_bytes, self.gpus)
