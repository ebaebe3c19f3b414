"""Stopping it at any time: gone within five seconds, and nothing of it left."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from usina.kernel.runners.assignment import StopSignal
from usina.kernel.runners.bench import Bench
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.observation import processes_below
from usina.kernel.runners.check.subject import Act, Subject, Witness
from usina.kernel.runners.limits import RunnerLimits

GONE_SECONDS: Final = 5.0
_START_SECONDS: Final = 0.03
_NEAR_END: Final = 0.75
_KILL_SECONDS: Final = 20.0
_SIGKILL: Final = 9


async def at_start(subject: Subject) -> str:
    return await _cancelled(subject, when=lambda fraction: False, after=_START_SECONDS)


async def midway(subject: Subject) -> str:
    usual = await _usual_seconds(subject)
    return await _cancelled(
        subject, when=lambda fraction: fraction > 0, after=usual / 2, then_again=True
    )


async def near_end(subject: Subject) -> str:
    usual = await _usual_seconds(subject)
    return await _cancelled(subject, when=lambda fraction: fraction >= _NEAR_END, after=0.9 * usual)


async def term(subject: Subject) -> str:
    """Told and TERMed at once, and KILLed only long after."""
    usual = await _usual_seconds(subject)
    limits = RunnerLimits(term_seconds=0.0, kill_seconds=_KILL_SECONDS)
    async with subject.fresh(limits) as ground:
        act, seconds = await _stopped(subject, ground, lambda fraction: fraction > 0, usual / 2)
        if act.played.failure is None:
            raise Unchecked("it had answered before it could be stopped")
        ended = act.played.outcome.exit
        if seconds > GONE_SECONDS or (ended is not None and ended.signal == _SIGKILL):
            raise Broken(f"TERM did not end it; it was there {seconds:.1f} s later")
    return f"gone after {seconds:.2f} s"


async def _cancelled(
    subject: Subject,
    when: Callable[[float], bool],
    after: float,
    *,
    then_again: bool = False,
) -> str:
    await subject.first()
    async with subject.fresh() as ground:
        act, seconds = await _stopped(subject, ground, when, after)
        failure = act.played.failure
        if failure is not None and failure.code != "cancelled":
            raise Broken(f"it was cancelled and ended with {act.ending}")
        if seconds > GONE_SECONDS:
            raise Broken(f"it was there {seconds:.1f} s after its cancel")
        if then_again and ground.pool.warm():
            again = await subject.play(ground=ground)
            if again.played.failure is not None:
                raise Broken(f"its next job after a cancel ended with {again.ending}")
        await ground.pool.close()
        if left := processes_below(ground.root):
            raise Broken(f"processes were left: {sorted(left)}")
    if failure is None:
        return "it had answered by then; nothing left"
    return f"gone after {seconds:.2f} s{_manner(act)}"


async def _stopped(
    subject: Subject, ground: Bench, when: Callable[[float], bool], after: float
) -> tuple[Act, float]:
    """A run that is stopped at a step of its progress, or so many seconds after its beginning; and
    how long it took to be gone from then."""
    stop = StopSignal()
    asked: list[float] = []

    def ask() -> None:
        if not asked:
            asked.append(time.perf_counter())
            stop.request()

    def step(fraction: float) -> None:
        if when(fraction):
            ask()

    timer = asyncio.get_running_loop().call_later(after, ask)
    try:
        act = await subject.play(ground=ground, told=Witness(on_progress=step), stop=stop)
    finally:
        timer.cancel()
    return act, time.perf_counter() - asked[0] if asked else 0.0


async def _usual_seconds(subject: Subject) -> float:
    return (await subject.first()).played.seconds


def _manner(act: Act) -> str:
    ended = act.played.outcome.exit
    if ended is None:
        return ", by itself, ready for another job"
    if ended.signal == _SIGKILL:
        return ", killed: it did not leave by itself"
    return ", by itself" if ended.signal is None else f", by signal {ended.signal}"


CHECKS: Final = (
    Check("cancel-at-start", "Cancelled as it starts, it is gone within 5 s.", at_start),
    Check("cancel-midway", "Cancelled midway, it is gone within 5 s.", midway),
    Check("cancel-near-end", "Cancelled near its end, it is gone within 5 s.", near_end),
    Check("term", "It ends on TERM, without being killed.", term),
)
