"""Its limits: passed, they end it in the words of the contract."""

import dataclasses
from typing import Final

from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.observation import processes_below
from usina.kernel.runners.check.stop import GONE_SECONDS
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.limits import RunnerLimits

_SHORTEST: Final = 0.02
_LOG_BYTES: Final = 16
_TINY: Final = 1024**2


async def time_limit(subject: Subject) -> str:
    seconds = (await subject.first()).played.seconds / 2
    while seconds > _SHORTEST:
        async with subject.fresh() as ground:
            act = await subject.play(ground=ground, timeout_seconds=seconds)
            await ground.pool.close()
            left = processes_below(ground.root)
        failure = act.played.failure
        if failure is not None:
            late = act.played.seconds - seconds
            if failure.code != "timeout":
                raise Broken(f"out of time, it ended with {act.ending}")
            if late > GONE_SECONDS or left:
                raise Broken(f"it was there {late:.1f} s after its time was over")
            return f"given {seconds:.2f} s, gone {late:.2f} s later"
        seconds /= 2
    raise Unchecked("it ends too soon to be out of time")


async def memory_limit(subject: Subject) -> str:
    peak = (await subject.first()).played.outcome.peak_memory_bytes
    if not peak:
        raise Unchecked("it ended before its memory could be measured")
    for given in (peak // 2, _TINY):
        resources = subject.manifest.resources.model_copy(update={"memory_bytes": given})
        async with subject.fresh() as ground:
            act = await subject.play(ground=ground, manifest=subject.changed(resources=resources))
            await ground.pool.close()
            left = processes_below(ground.root)
        failure = act.played.failure
        if failure is not None:
            if failure.code != "out_of_memory" or left:
                raise Broken(f"with {given // 1024**2} MiB it ended with {act.ending}")
            return f"given {given // 1024**2} MiB, out_of_memory"
    raise Unchecked("it needs too little, or ends too soon, for a limit to be felt")


async def log_limit(subject: Subject) -> str:
    if not (await subject.first()).told.written:
        raise Unchecked("it writes no log")
    limits = dataclasses.replace(RunnerLimits(), log_bytes=_LOG_BYTES)
    async with subject.fresh(limits) as ground:
        act = await subject.play(ground=ground)
    if act.played.failure is not None:
        raise Broken(f"with its log cut it ended with {act.ending}")
    return "its log cut, it goes on"


CHECKS: Final = (
    Check("time-limit", "Out of time it ends with timeout, gone within 5 s.", time_limit),
    Check("memory-limit", "Out of memory it ends with out_of_memory.", memory_limit),
    Check("log-limit", "A log that is cut does it no harm.", log_limit),
)
