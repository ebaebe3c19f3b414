"""A bed, and where its particles come from."""

from dataclasses import dataclass
from datetime import datetime

from usina.apps.cfd.bed.plan import BedPlan


@dataclass(frozen=True, slots=True)
class Bed:
    id: str
    organization_id: str
    plan: BedPlan
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Generation:
    """One origin of a bed's particles: a job that makes them, or a file that was uploaded."""

    id: str
    organization_id: str
    bed_id: str
    job_id: str | None
    file_id: str | None
    recipe: str | None
