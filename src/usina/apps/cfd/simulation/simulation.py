"""A simulation, and a sweep of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Simulation:
    """``params`` are what the solver is given, ``over`` the fields that its sweep varies.
    ``mesh_job_id`` makes the mesh that it waits for or was given. ``error`` is of one that ended
    without a job."""

    id: str
    organization_id: str
    bed_id: str
    generation_id: str
    sweep_id: str | None
    solver: str
    params: Mapping[str, Any]
    over: Mapping[str, Any]
    mesh_job_id: str | None
    job_id: str | None
    error: Mapping[str, Any] | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """``over`` has the values of each field that is varied; ``job_id`` makes table and plot."""

    id: str
    organization_id: str
    name: str
    solver: str
    over: Mapping[str, Any]
    job_id: str | None
    created_at: datetime
    cancelled_at: datetime | None
    settled_at: datetime | None
