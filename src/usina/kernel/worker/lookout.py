"""Looks again at what may change while a worker lives: its GPUs, and models whose probe says so."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from usina.kernel.registry import Registry
from usina.kernel.worker.gpu.cards import Cards

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_NEVER: Final = float("inf")


class Lookout:
    """``changed`` is told when a model can run that could not, or the other way round."""

    def __init__(
        self, registry: Registry, cards: Cards, gpu_seconds: float, changed: Callable[[], None]
    ) -> None:
        self._registry, self._cards, self._changed = registry, cards, changed
        self._gpu_seconds = gpu_seconds
        self._asked = asyncio.Event()
        self._due: dict[str, float] = {}
        self._gpus_due = 0.0

    def ask(self, model: str) -> None:
        """Something went wrong with the model: its probe is asked at once."""
        if model in self._due:
            self._due[model] = 0.0
            self._asked.set()

    async def turn(self) -> None:
        """Looks at whatever is due, for ever."""
        loop = asyncio.get_running_loop()
        self._gpus_due = loop.time() + self._gpu_seconds if self._cards.ids else _NEVER
        self._due = {name: loop.time() + seconds for name, seconds in self._every().items()}
        while True:
            first = min([self._gpus_due, *self._due.values()])
            self._asked.clear()
            try:
                async with asyncio.timeout_at(None if first == _NEVER else first):
                    await self._asked.wait()
            except TimeoutError:
                pass
            await self._look(loop.time())

    def _every(self) -> dict[str, float]:
        probes = {model.name: model.manifest.probe for model in self._registry.all()}
        return {
            name: probe.every_seconds
            for name, probe in probes.items()
            if probe is not None and probe.every_seconds is not None
        }

    async def _look(self, now: float) -> None:
        if now >= self._gpus_due:
            await self._cards.examine()
            self._gpus_due = now + self._gpu_seconds
        every = self._every()
        for name in [name for name, due in self._due.items() if now >= due]:
            if await self._registry.look_again(name):
                model = self._registry.get(name)
                why = model.unavailable_reason if model else None
                _log.warning("model can run again" if not why else "model can not run", model=name)
                self._changed()
            self._due[name] = asyncio.get_running_loop().time() + every[name]
