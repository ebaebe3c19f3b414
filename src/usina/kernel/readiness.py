"""Whether a process can work: each thing that it depends on, by name."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from usina.kernel.errors import Unavailable

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Check:
    """``look`` answers ``ok`` or why not; without what is ``needed`` the process can not work."""

    look: Callable[[], Awaitable[str]]
    needed: bool = True


class Readiness:
    """The checks of one process."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def look(self) -> tuple[bool, dict[str, str]]:
        """Whether all that is needed is there, and each check's finding."""
        found = {name: await _look(name, check) for name, check in self._checks.items()}
        return all(found[n] == "ok" for n, c in self._checks.items() if c.needed), found


async def _look(name: str, check: Check) -> str:
    try:
        return await check.look()
    except Unavailable as problem:
        _log.warning("check failed", check=name, error=problem.code)
        return problem.detail
    except Exception as error:
        _log.warning("check failed", check=name, error=repr(error))
        return f"it does not answer ({type(error).__name__})"
