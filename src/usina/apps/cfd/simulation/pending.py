"""Simulations that have not ended, as those who would remove what they read ask for them."""

import sqlalchemy as sa

from usina.apps.cfd.simulation.table import simulations
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.table import jobs


def is_needed(tx: Transaction, generation_id: str) -> bool:
    """Whether an unfinished simulation reads the particles of the generation, or waits for them."""
    joined = sa.select(simulations.c.id).outerjoin(jobs, jobs.c.id == simulations.c.job_id)
    waits = sa.and_(simulations.c.job_id.is_(None), simulations.c.error.is_(None))
    runs = sa.and_(jobs.c.id.is_not(None), jobs.c.finished_at.is_(None))
    query = joined.where(simulations.c.generation_id == generation_id, sa.or_(waits, runs))
    return tx.execute(query.limit(1)).first() is not None
