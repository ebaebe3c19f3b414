"""The state of a flow, kept so that another attempt goes on where this one was.

It is as large as the populations, so it is written only now and then, and the less often the
longer it takes.
"""

import hashlib
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from usina.apps.cfd.lattice.stokes import Settling, Stokes
from usina_runner import Job

_LEAST_SECONDS: Final = 20.0
_SHARE: Final = 0.02
_FORM: Final = b"stokes 1"


@dataclass(slots=True)
class Keeper:
    """Keeps ``flow`` for the next attempt of ``job``."""

    job: Job
    flow: Stokes
    settling: Settling
    _last: Path | None = None
    _next: float = field(default_factory=lambda: time.monotonic() + _LEAST_SECONDS)

    def keep_now_and_then(self) -> None:
        if time.monotonic() >= self._next:
            began = time.monotonic()
            self.keep()
            spent = time.monotonic() - began
            self._next = time.monotonic() + max(_LEAST_SECONDS, spent / _SHARE)

    def keep(self) -> None:
        """Whole, under a fresh name; then the one before goes."""
        path = self.job.outputs / f"state-{self.flow.steps}.npz"
        np.savez(
            path,
            fingerprint=np.frombuffer(_fingerprint(self.flow), dtype=np.uint8),
            slots=self.flow.slots,
            flows=np.array(self.settling.flows),
            steps=np.array([self.flow.steps]),
            uneven=np.array([self.settling.uneven]),
        )
        self.job.checkpoint_saved(path)
        if self._last is not None and self._last != path:
            self._last.unlink(missing_ok=True)
        self._last = path

    def resume(self) -> bool:
        """Take over what the attempt before kept; false where that is nothing, of another flow,
        or damaged, and then the flow begins anew."""
        path = self.job.checkpoint
        if path is None:
            return False
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                if kept["fingerprint"].tobytes() != _fingerprint(self.flow):
                    return False
                slots, flows = kept["slots"], kept["flows"]
                steps, uneven = int(kept["steps"][0]), float(kept["uneven"][0])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return False
        if slots.shape != self.flow.slots.shape or not np.isfinite(slots).all():
            return False
        self.flow.slots[:] = slots
        self.flow.steps = steps
        self.settling.flows[:] = [float(each) for each in flows]
        self.settling.uneven = uneven
        return True


def _fingerprint(flow: Stokes) -> bytes:
    """Of all that the populations belong to."""
    told = hashlib.sha256(_FORM)
    told.update(repr((flow.domain.shape, flow.viscosity)).encode())
    told.update(flow.domain.nodes.tobytes())
    return told.digest()
