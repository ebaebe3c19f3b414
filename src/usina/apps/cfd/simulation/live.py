"""What a solver tells while it works, out of the metrics of its job.

A solver tells ``residual_<field>`` and ``iteration`` of its last iteration, ``velocity_m_s`` and
``pressure_drop_pa`` of what it solves (`docs/reference/api.md`, simulations).
"""

from collections.abc import Mapping
from typing import Any, Final

from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status

_RESIDUAL: Final = "residual_"
_SOLVING: Final = ("velocity_m_s", "iteration", "pressure_drop_pa")


def residuals_so_far(job: Job) -> dict[str, list[Any]] | None:
    """Of the last iteration, in the form of a report's: a list of one for each field; null where
    none was told."""
    told = job.metrics
    last = {
        name.removeprefix(_RESIDUAL): [value]
        for name, value in told.items()
        if name.startswith(_RESIDUAL)
    }
    return {"iteration": [told.get("iteration")], **last} if last else None


def solving(job: Job) -> Mapping[str, Any] | None:
    """The velocity that is being solved, or was when the job stopped; null before and once all
    are."""
    told = job.metrics
    if job.status is Status.SUCCEEDED or "velocity_m_s" not in told:
        return None
    return {name: told.get(name) for name in _SOLVING}
