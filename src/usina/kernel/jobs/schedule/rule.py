"""When a schedule fires: cron by the wall clock of a zone, or a fixed step."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from usina.kernel.errors import FieldError, Invalid

CatchUp = Literal["skip", "one", "all"]
"""What becomes of moments that passed while nothing looked: no job, one for all, or one each."""

MOST_AT_ONCE: Final = 100
_ON_TIME: Final = timedelta(seconds=60)
_LONGEST_STEP: Final = 365 * 24 * 3600
_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """Either ``cron`` (five fields, in ``timezone``) or ``every_seconds``."""

    cron: str | None = None
    every_seconds: int | None = None
    timezone: str = "UTC"

    def check(self) -> None:
        """Raises ``Invalid`` for a rule that is none or never fires."""
        if (self.cron is None) == (self.every_seconds is None):
            message = "A schedule has either cron or every_seconds."
            raise Invalid(message, errors=[FieldError("/cron", message)])
        if self.every_seconds is not None and not 1 <= self.every_seconds <= _LONGEST_STEP:
            message = f"every_seconds is {self.every_seconds}; it goes from 1 to {_LONGEST_STEP}."
            raise Invalid.at("/every_seconds", message)
        self._zone()
        if self.cron is not None:
            self.after(datetime.now(UTC))

    def after(self, moment: datetime) -> datetime:
        """The next moment. A step counts from the one before; cron follows the wall clock: what the
        change to summer time leaves out fires right after it, what comes twice fires once."""
        if self.cron is None:
            return moment + self._step
        try:
            if len(self.cron.split()) != _FIELDS:
                raise CronSimError("wrong number of fields")
            local = moment.astimezone(self._zone())
            return next(CronSim(self.cron, local)).astimezone(moment.tzinfo)
        except (CronSimError, StopIteration):
            message = f"{self.cron!r} is no cron rule of five fields that fires."
            raise Invalid.at("/cron", message) from None

    def passed(self, due: datetime, now: datetime, catch_up: CatchUp) -> tuple[int, datetime]:
        """How many jobs to make for the moments from ``due`` to ``now``, and the moment after.

        With ``all`` at most 100: the moment after may have passed too. ``skip`` makes one for the
        latest moment while that is not late.
        """
        if catch_up == "all":
            return self._each(due, now)
        following = self._first_after(due, now)
        if catch_up == "skip" and now - self._latest(due, now, following) > _ON_TIME:
            return 0, following
        return 1, following

    def _each(self, due: datetime, now: datetime) -> tuple[int, datetime]:
        count = 0
        while due <= now and count < MOST_AT_ONCE:
            count, due = count + 1, self.after(due)
        return count, due

    def _first_after(self, due: datetime, now: datetime) -> datetime:
        """A step keeps its beat, however long nothing looked."""
        if self.cron is None:
            return due + ((now - due) // self._step + 1) * self._step
        return self.after(now)

    def _latest(self, due: datetime, now: datetime, following: datetime) -> datetime:
        """The last moment up to now, or, of cron, one that is not earlier than a minute ago."""
        if self.cron is None:
            return following - self._step
        moment = self.after(max(due, now - _ON_TIME) - timedelta(microseconds=1))
        return moment if moment <= now else due

    @property
    def _step(self) -> timedelta:
        return timedelta(seconds=self.every_seconds or 0)

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = f"{self.timezone!r} is no time zone of this machine."
            raise Invalid.at("/timezone", message) from None
