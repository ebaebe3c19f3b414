"""Its start, and what it says on descriptor 3."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from usina.kernel.ids import new_id
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.subject import Subject, Witness
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.manifest import Kind
from usina.kernel.runners.protocol import ERROR_CODES, Message, parse

_RELAY: Final = str(Path(__file__).with_name("relay.py"))
_LEVELS: Final = ("debug", "info", "warning", "error")
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "ready": frozenset(),
    "progress": frozenset({"progress", "stage"}),
    "log": frozenset({"level", "message"}),
    "artifact": frozenset({"path", "name", "kind"}),
    "metric": frozenset({"name", "value"}),
    "checkpoint": frozenset({"path"}),
    "records": frozenset({"path"}),
    "result": frozenset(),
    "error": frozenset({"code", "reason", "message", "retryable"}),
}
_QUIET_SECONDS: Final = 0.3
_LONGEST_QUOTE: Final = 120


async def result(subject: Subject) -> str:
    if not subject.cases:
        raise Broken(
            "there is nothing to run it with: it needs "
            + (", ".join(_needed(subject)) or "parameters")
            + "; put examples/NAME.json into its folder, or give INPUT=FILE and --param K=V"
        )
    act = await subject.try_first()
    if act.played.failure is not None:
        raise Broken(f"{act.ending}{_last_words(act.told)}")
    memory = act.played.outcome.peak_memory_bytes or 0
    most = subject.manifest.resources.memory_bytes
    return (
        f"{subject.case.name}: {act.played.seconds:.2f} s, "
        f"{memory // 1024**2} of {most // 1024**2} MiB"
    )


async def every_example(subject: Subject) -> str:
    await subject.first()
    if len(subject.cases) < 2:
        raise Unchecked("there is one")
    faults: list[str] = []
    for case in subject.cases[1:]:
        act = await subject.example(case)
        if act.played.failure is not None:
            faults.append(f"{case.name}: {act.ending}")
    if faults:
        raise Broken("; ".join(faults))
    return ", ".join(case.name for case in subject.cases)


async def ready(subject: Subject) -> str:
    act = await subject.first()
    if not subject.warm:
        raise Unchecked("it is cold")
    await asyncio.sleep(_QUIET_SECONDS)
    if act.played.outcome.exit is not None or not subject.bench.pool.warm():
        raise Broken(
            "it left after its first job, or spoke after its answer; a warm program waits in "
            "silence for its next job"
        )
    return "it waits for its next job"


async def protocol(subject: Subject) -> str:
    lines = await _recorded(subject)
    faults = list(_line_faults(subject, lines))
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise Broken("; ".join(faults[:3]) + more)
    return f"{len(lines)} lines"


async def progress(subject: Subject) -> str:
    steps: list[float] = []
    for line in await _recorded(subject):
        told = _object(line)
        if told is not None and told.get("type") == "progress":
            value = told.get("progress")
            if isinstance(value, int | float):
                steps.append(value)
    if not steps:
        raise Unchecked("it told no progress; people would see none")
    for step, following in zip(steps, [*steps[1:], steps[-1]], strict=True):
        if not 0 <= step <= 1:
            raise Broken(f"progress {step:g} is not within 0 and 1")
        if following < step:
            raise Broken(f"progress fell from {step:g} to {following:g}")
    return f"{len(steps)} steps up to {steps[-1]:g}"


async def _recorded(subject: Subject) -> list[bytes]:
    """Every line that it says on descriptor 3 in a good run, as it says it."""
    await subject.first()
    if subject.lines is not None:
        return subject.lines
    token = f"{new_id()} "
    command = (sys.executable, "-I", "-S", _RELAY, token, *subject.manifest.argv())
    told = Witness(kept_bytes=RunnerLimits().log_bytes)
    async with subject.fresh() as ground:
        await subject.play(ground=ground, manifest=subject.changed(command=command), told=told)
    written = bytes(told.written).split(b"\n")
    mark = token.encode()
    subject.lines = [line.removeprefix(mark) for line in written if line.startswith(mark)]
    if not subject.lines:
        raise Unchecked("nothing that it says could be recorded")
    return subject.lines


def _line_faults(subject: Subject, lines: list[bytes]) -> Iterator[str]:
    answered = begun = False
    for number, line in enumerate(lines, 1):
        if fault := _fault(line):
            yield f"line {number} {fault}: {line[:_LONGEST_QUOTE].decode('utf-8', 'replace')}"
            continue
        kind = (_object(line) or {}).get("type")
        if answered:
            yield f"line {number} comes after its answer: {kind}"
        if kind == "ready" and not subject.warm:
            yield f"line {number} says ready, which only a warm program does"
        if kind == "ready" and begun:
            yield f"line {number} says ready again"
        begun = begun or kind == "ready"
        if subject.warm and not begun:
            yield f"line {number} comes before ready: {kind}"
        answered = answered or kind in ("result", "error")


def _fault(line: bytes) -> str | None:
    """Why a line is no message of the contract."""
    most = RunnerLimits().line_bytes
    if len(line) > most:
        return f"is longer than {most} bytes"
    told = _object(line)
    if told is None:
        return "is no JSON object"
    kind = told.get("type")
    if kind not in _KEYS:
        return f"has the type {kind!r}, which the contract does not know"
    if unknown := told.keys() - _KEYS[kind] - {"type"}:
        return f"has keys that {kind} does not know ({', '.join(sorted(unknown))})"
    message: Message | None = parse(line)
    if message is None:
        return f"lacks something of {kind}, or it is of the wrong type"
    if kind == "artifact" and told["kind"] not in get_args(Kind):
        return f"has the kind {told['kind']!r}"
    if kind == "log" and told.get("level", "info") not in _LEVELS:
        return f"has the level {told['level']!r}; there are {', '.join(_LEVELS)}"
    if kind == "error" and told["code"] not in ERROR_CODES:
        return f"has the code {told['code']!r}"
    return None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        told: object = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", told) if isinstance(told, dict) else None


def _needed(subject: Subject) -> list[str]:
    inputs = [name for name, spec in subject.manifest.inputs.items() if spec.required]
    params: list[str] = subject.form.params_schema["required"]
    return inputs + [name for name in params if name not in subject.form.defaults]


def _last_words(told: Witness) -> str:
    lines = [line for line in told.text.splitlines() if line.strip()][-5:]
    return f"; the end of its log: {' | '.join(lines)}" if lines else ""


CHECKS: Final = (
    Check("result", "It does its example: result, and exit 0 when cold.", result),
    Check("every-example", "It does every other example too.", every_example),
    Check("ready", "Warm, it is ready for another job after its first.", ready),
    Check("protocol", "Every line on descriptor 3 is a message of the contract.", protocol),
    Check("progress", "Its progress only rises, from 0 to 1 at most.", progress),
)
