"""How long jobs of a model take here, so that small ones can be claimed several at a time."""

from typing import Final

BATCH_SECONDS: Final = 0.05
"""Expected work that one slot may take in one claim."""

_MOST: Final = 32
_WEIGHT: Final = 0.2
_SAMPLES: Final = 3


class Pace:
    """A moving average per model."""

    def __init__(self) -> None:
        self._average: dict[str, float] = {}
        self._samples: dict[str, int] = {}

    def record(self, model: str, seconds: float) -> None:
        average = self._average.get(model, seconds)
        self._average[model] = average + _WEIGHT * (seconds - average)
        self._samples[model] = self._samples.get(model, 0) + 1

    def small(self) -> frozenset[str]:
        """Models of which several fit into one batch."""
        return frozenset(
            model
            for model, average in self._average.items()
            if average <= BATCH_SECONDS / 2 and self._samples[model] >= _SAMPLES
        )

    def batch(self) -> int:
        """How many jobs of the slowest small model fit into one slot's batch."""
        small = self.small()
        if not small:
            return 1
        slowest = max(self._average[model] for model in small)
        return max(1, min(_MOST, int(BATCH_SECONDS / max(slowest, 1e-4))))
