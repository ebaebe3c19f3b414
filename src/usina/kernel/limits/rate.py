"""Rates, as settings write them: ``600/minute``."""

import re
from dataclasses import dataclass
from typing import Final

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_WRITTEN: Final = re.compile(rf"([1-9][0-9]{{0,11}})/({'|'.join(_SECONDS)})")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``amount`` in each ``seconds``."""

    amount: int
    seconds: int

    @classmethod
    def of(cls, text: str) -> "Rate":
        """Raises ``ValueError`` for what is no rate."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no rate, such as 600/minute; of second, hour, day too")
        return cls(int(found[1]), _SECONDS[found[2]])

    def __str__(self) -> str:
        unit = next(name for name, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.amount}/{unit}"
