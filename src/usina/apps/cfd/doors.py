"""What the room serves and what it does by the clock."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from fastapi import APIRouter

from usina.apps.cfd.bed.http import router as beds
from usina.apps.cfd.bed.http_file import files_router
from usina.apps.cfd.bed.removal import finish_deletions
from usina.apps.cfd.bed.superseding import replace_generations
from usina.apps.cfd.simulation.http import router as simulations
from usina.apps.cfd.simulation.http_sweep import router as sweeps
from usina.apps.cfd.simulation.start import start_simulations
from usina.apps.cfd.simulation.store import forget_lost
from usina.apps.cfd.simulation.table_job import settle_sweeps
from usina.kernel.platform import Platform

router = APIRouter(routes=[*beds.routes, *files_router.routes, *sweeps.routes, *simulations.routes])


def turns(platform: Platform) -> Mapping[str, tuple[Callable[[], Awaitable[None]], float]]:
    """The room's part of the beat: what is done, and how many seconds lie between."""
    return {
        "start_simulations": (partial(start_simulations, platform), 1.0),
        "replace_generations": (partial(replace_generations, platform), 5.0),
        "settle_sweeps": (partial(settle_sweeps, platform), 1.0),
        "finish_deletions": (partial(finish_deletions, platform), 10.0),
        "forget_lost_simulations": (partial(_forget_lost, platform), 600.0),
    }


async def _forget_lost(platform: Platform) -> None:
    """Simulations whose job somebody has deleted by itself."""
    while await platform.database.write(forget_lost):
        pass
