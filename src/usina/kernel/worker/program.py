"""What a worker tells of its programs, by which others find earlier results."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from usina.kernel.db.unit_of_work import Database
from usina.kernel.jobs.store.program import remember
from usina.kernel.worker.reuse import Reuse

_LOOK_SECONDS: Final = 2.0
_LOOK_SHARE: Final = 50
"""Looking at programs may take so small a part of the time."""


class Programs:
    """``told`` is what they were at the last look; ``changed`` hears that it is another."""

    def __init__(self, database: Database, reuse: Reuse, changed: Callable[[], None]) -> None:
        self.told: Mapping[str, str] = {}
        self._database, self._reuse, self._changed = database, reuse, changed

    async def turn(self) -> None:
        """Looks at them, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            found = await self._reuse.programs()
            took = loop.time() - began
            if found != self.told:
                await self._database.write(lambda tx, found=found: remember(tx, found))
                self.told = found
                self._changed()
            await asyncio.sleep(max(_LOOK_SECONDS, _LOOK_SHARE * took))
