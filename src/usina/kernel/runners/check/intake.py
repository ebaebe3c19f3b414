"""Inputs that are hostile, broken or oddly named."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from usina.kernel.runners.bench import InputFile, Request
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.subject import Act, Subject
from usina.kernel.runners.work import input_path

_TEXT: Final = b"This is a text about nothing in particular, under the name of something else.\n"
_NOISE: Final = bytes((7 * place * place + 13) % 256 for place in range(4096))
_TEXTUAL: Final = re.compile(r"text/.*|.*[+/](json|xml|x-ndjson|yaml|toml|sql)|model/(obj|mtl|stl)")
_REASON: Final = re.compile(r"[a-z][a-z0-9_]*")
_TRACEBACK: Final = re.compile(r"Traceback \(most recent call last\)|File \"[^\"]+\", line \d+")
_LONGEST_MESSAGE: Final = 1000
_ODD: Final = "é 图 'x' "


async def empty(subject: Subject) -> str:
    return await _each(subject, lambda files, name: b"", "an empty file")


async def truncated(subject: Subject) -> str:
    def half(files: Sequence[InputFile], name: str) -> bytes | None:
        if not files:
            return None
        content = files[0].path.read_bytes()
        return content[: len(content) // 2]

    return await _each(subject, half, "half a file")


async def wrong_type(subject: Subject) -> str:
    def other(files: Sequence[InputFile], name: str) -> bytes:
        return _NOISE if _any_text(subject, name) else _TEXT

    return await _each(subject, other, "a file of another type")


async def _each(
    subject: Subject,
    make: Callable[[Sequence[InputFile], str], bytes | None],
    what: str,
) -> str:
    """Puts a bad file in place of each input, one at a time."""
    await subject.first()
    if not subject.manifest.inputs:
        raise Unchecked("it takes no input")
    seen: list[str] = []
    with tempfile.TemporaryDirectory(prefix="usina-") as folder:
        for name, spec in subject.manifest.inputs.items():
            files = subject.case.inputs.get(name, ())
            content = make(files, name)
            if content is None:
                continue
            path = Path(folder) / name
            path.write_bytes(content)
            media_type = files[0].media_type if files else next(iter(spec.media_types), "")
            request = subject.request
            inputs = {**request.inputs, name: (InputFile(path, media_type), *files[1:])}
            act = await subject.play(
                replace(request, inputs=inputs), timeout_seconds=await subject.patience()
            )
            seen.append(f"{name}: {_judged(act, name, what, _any_text(subject, name))}")
    if not seen:
        raise Unchecked("its example has no file to spoil")
    return ", ".join(seen)


def _any_text(subject: Subject, name: str) -> bool:
    """Whether an input is declared so widely that odd bytes may well be right."""
    types = subject.manifest.inputs[name].media_types
    return not types or any(_TEXTUAL.fullmatch(each) for each in types)


def _judged(act: Act, name: str, what: str, may_succeed: bool) -> str:
    failure = act.played.failure
    if failure is None and may_succeed:
        return "result"
    if failure is None:
        raise Broken(f"{name}: {what} was taken for a good one; look at it before it is used")
    if failure.code == "timeout":
        raise Broken(f"{name}: {what} hung it; it did not answer in {act.played.seconds:.0f} s")
    if failure.code != "invalid_input":
        raise Broken(
            f"{name}: {what} has to end with the error invalid_input, and ended with {act.ending}"
        )
    return well_said(act, f"{name}: {what}")


def well_said(act: Act, where: str) -> str:
    """The reason of an ``invalid_input``, whose words have to be fit for its caller."""
    failure = act.played.failure
    assert failure is not None
    if not failure.message or failure.message == "The program gave no reason.":
        raise Broken(f"{where}: the error has no message; tell the caller what was wrong")
    if _TRACEBACK.search(failure.message):
        raise Broken(f"{where}: the message is a traceback; its place is the log")
    if len(failure.message) > _LONGEST_MESSAGE:
        raise Broken(f"{where}: the message has {len(failure.message)} characters; be short")
    if failure.reason is not None and not _REASON.fullmatch(failure.reason):
        raise Broken(f"{where}: the reason {failure.reason!r} is not in snake_case")
    return failure.reason or "invalid_input"


async def unchanged(subject: Subject) -> str:
    act = await subject.first()
    inputs = act.played.request.inputs
    if not inputs:
        raise Unchecked("its example has no input")
    wanted = sorted(_digest(file.path) for files in inputs.values() for file in files)
    folder = act.played.work.path / "inputs"
    found = sorted(_digest(path) for path in folder.rglob("*") if path.is_file())
    if found != wanted:
        raise Broken(
            "it changed, added or removed files in inputs/; write to outputs/ or beside it"
        )
    return f"{len(wanted)} as before"


async def odd_names(subject: Subject) -> str:
    await subject.first()

    def named(name: str, place: int | None, media_type: str) -> str:
        usual = Path(input_path(name, place, media_type))
        return f"inputs/{_ODD}{usual.name}"

    request: Request = replace(subject.request, named=named)
    async with subject.fresh(name=f"{_ODD}work") as ground:
        act = await subject.play(request, ground=ground)
    if act.played.failure is not None:
        raise Broken(
            f"with {_ODD!r} in the paths of its folder and inputs it ended with {act.ending}; "
            "take the paths from job.json and quote them"
        )
    return f"done with {_ODD!r} in every path"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


CHECKS: Final = (
    Check(
        "input-empty",
        "An empty input that it can not use ends with invalid_input, in words.",
        empty,
    ),
    Check(
        "input-truncated",
        "Half an input that it can not use ends with invalid_input, in words.",
        truncated,
    ),
    Check(
        "input-wrong-type",
        "Another type under a right name ends with invalid_input, in words.",
        wrong_type,
    ),
    Check("input-unchanged", "It leaves its inputs as they were.", unchanged),
    Check(
        "input-names",
        "Spaces, quotes and letters of any script in paths are no trouble.",
        odd_names,
    ),
)
