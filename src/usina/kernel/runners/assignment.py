"""What a caller gives to a run: the job, who listens, and the way to stop it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from usina.kernel.runners.gate import Value
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.outcome import CANCELLED, Failure
from usina.kernel.runners.work import WorkFolder


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job for a program; the work folder is ready. ``devices`` are the GPUs that it has, and
    nobody else meanwhile."""

    manifest: Manifest
    work: WorkFolder
    organization_id: str
    timeout_seconds: float
    cores: int
    devices: tuple[str, ...] = ()


class Listener(Protocol):
    """Told on the event loop; every method is cheap and synchronous."""

    def progress(self, fraction: float, stage: str | None) -> None:
        """The fraction is 0 to 1."""
        ...

    def metric(self, name: str, value: Value) -> None:
        """Of at most ``metrics`` names; a name that comes again has a new value."""
        ...

    def log(self, data: bytes) -> None:
        """Output in order, at most ``log_bytes`` of it and a notice where it was cut."""
        ...

    def checkpoint(self, name: str, descriptor: int) -> None:
        """A plain file that the next attempt may go on from, open for reading; the listener closes
        it."""
        ...


class Devices(Protocol):
    """GPUs as programs find them."""

    async def freed(self, ids: Sequence[str]) -> str | None:
        """Waits until nothing of an earlier program is left on them; why not, if that fails."""
        ...

    def used(self, ids: Collection[str]) -> None:
        """A program begins on them."""
        ...


class StopSignal:
    """Asks a run to stop; may be set before the run begins. The first reason is the one that
    counts."""

    def __init__(self) -> None:
        self.why: Failure | None = None
        self._tell: Callable[[Failure], None] | None = None

    def request(self, why: Failure = CANCELLED) -> None:
        if self.why is None:
            self.why = why
            if self._tell is not None:
                self._tell(why)

    def watch(self, tell: Callable[[Failure], None] | None) -> None:
        """Calls ``tell`` once when the stop is requested, at once if it was."""
        self._tell = tell
        if self.why is not None and tell is not None:
            tell(self.why)
