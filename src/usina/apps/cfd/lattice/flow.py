"""bed-flow-lbm from a bed's file to its answer."""

import math
from collections.abc import Callable
from functools import partial

from usina.apps.cfd.jit import set_threads
from usina.apps.cfd.lattice.answer import drop_by, solved
from usina.apps.cfd.lattice.checkpoint import Keeper
from usina.apps.cfd.lattice.delivery import deliver
from usina.apps.cfd.lattice.domain import connect, leads_through
from usina.apps.cfd.lattice.question import (
    Question,
    check_memory,
    check_velocities,
    choose_piece,
    read_question,
)
from usina.apps.cfd.lattice.stokes import Settling, Stokes, settle
from usina.apps.cfd.lattice.voxel import Grid, voxelize
from usina.apps.cfd.particles import read_particles
from usina_runner import InvalidInput, Job

_VISCOSITY = 1 / 24
"""A bed's pressure evens out along its length the sooner the less viscous the lattice is."""

_MOST_STEPS = 100_000
_BEGUN, _SETTLED = 0.06, 0.92


def flow_through(job: Job) -> None:
    set_threads(job.cores)
    question = read_question(job.params)
    with job.stage("read", upto=0.02):
        piece = choose_piece(read_particles(job.inputs["bed"][0]), question)
        check_velocities(piece, question)
        check_memory(piece, question)
    with job.stage("voxels", upto=_BEGUN):
        grid = voxelize(
            piece.particles,
            piece.tube_diameter_m,
            piece.low_m,
            piece.high_m,
            piece.particles.shape.diameter_m / question.resolution,
            job.check_cancelled,
        )
        _needs_a_way(grid)
        flow = Stokes(connect(grid.fluid, "mirrored", job.check_cancelled), job.cores, _VISCOSITY)
    with job.stage("flow", upto=_SETTLED):
        settling = _settled(job, flow, question, partial(drop_by, piece, grid, question))
    found = solved(piece, grid, flow, settling)
    del flow  # what draws the pictures needs its room
    deliver(job, found, question)


def _settled(
    job: Job, flow: Stokes, question: Question, drop_of: Callable[[float], float]
) -> Settling:
    """The flow, brought to rest, or as far as the steps allow; ``drop_of`` a flow through a layer
    is the pressure drop that is told meanwhile."""
    settling = Settling()
    keeper = Keeper(job, flow, settling)
    if keeper.resume():
        job.log("info", f"Going on from step {flow.steps} of the attempt before.")
    settle(
        flow,
        settling,
        tolerance=question.tolerance,
        most_steps=_MOST_STEPS,
        between=job.check_cancelled,
        look=partial(_look, job, keeper, question, drop_of),
    )
    return settling


def _look(job: Job, keeper: Keeper, question: Question, drop_of: Callable[[float], float]) -> None:
    """Tell how far it is: on a scale on which the change that is left falls evenly."""
    left = max(keeper.settling.left(), 1e-12)
    done = min(1.0, math.log(left) / math.log(question.tolerance))
    job.metric("residual_flow", left)
    job.metric("iteration", keeper.flow.steps)
    job.metric("velocity_m_s", question.velocities_m_s[0])
    job.metric("pressure_drop_pa", drop_of(keeper.settling.flows[-1]))
    reached = min(_SETTLED, _BEGUN + (_SETTLED - _BEGUN) * done)
    job.progress(max(job.fraction, reached), "flow")
    keeper.keep_now_and_then()


def _needs_a_way(grid: Grid) -> None:
    """Refuses a bed that nothing flows through, whose pressure drop has no end."""
    if not leads_through(grid.fluid):
        raise InvalidInput(
            "bed_closed",
            "Nothing can flow through the bed: at this resolution no way leads from its lower to "
            "its upper end. Raise mesh.resolution, or look at the particles.",
        )
