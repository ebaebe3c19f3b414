"""The same again: in the same process, for somebody else, at a second attempt, to the byte."""

from dataclasses import replace
from typing import Final

from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.observation import observe, processes_below
from usina.kernel.runners.check.output import fingerprint
from usina.kernel.runners.check.subject import Act, Subject

_SEED: Final = 1234
_CLAIM: Final = "its manifest does not claim it (deterministic = true)"


async def again(subject: Subject) -> str:
    first = await subject.first()
    before = processes_below(subject.bench.root)
    act = await subject.play()
    _same(subject, first, act, "a second run")
    if subject.warm and before and not before & processes_below(subject.bench.root):
        raise Broken("another process did its second job; it did not stay")
    return f"{act.played.seconds:.2f} s after {first.played.seconds:.2f} s"


async def other_organization(subject: Subject) -> str:
    first = await subject.first()
    act = await subject.play(organization_id="another")
    _same(subject, first, act, "a run for another organization")
    if not subject.warm:
        return "a process of its own"
    return "the same process, as its manifest allows" if subject.manifest.shared else "its own"


async def second_attempt(subject: Subject) -> str:
    first = await subject.first()
    act = await subject.play(replace(subject.request, attempt=2))
    _same(subject, first, act, "a second attempt")
    return "as the first"


async def deterministic(subject: Subject) -> str:
    first = await subject.first()
    if not subject.manifest.deterministic:
        raise Unchecked(_CLAIM)
    seen = await observe(subject)
    _same_made(subject, first, seen.act, seen.fingerprint, "another process")
    return f"{len(seen.fingerprint)} files the same to the byte"


async def seed(subject: Subject) -> str:
    await subject.first()
    if "seed" not in subject.manifest.params:
        raise Unchecked("it has no parameter seed")
    if not subject.manifest.deterministic:
        raise Unchecked(_CLAIM)
    request = subject.with_params({"seed": _SEED})
    act = await subject.play(request)
    async with subject.fresh() as ground:
        other = await subject.play(replace(request, id=f"{request.id}-2"), ground=ground)
        _same(subject, act, other, f"another process with seed {_SEED}")
    return f"seed {_SEED} twice"


def _same(subject: Subject, first: Act, second: Act, which: str) -> None:
    made = fingerprint(second.played, subject.manifest.deterministic)
    _same_made(subject, first, second, made, which)


def _same_made(subject: Subject, first: Act, second: Act, made: dict[str, str], which: str) -> None:
    """The same files by name and kind; of a program that claims it, to the byte."""
    if second.played.failure is not None:
        raise Broken(f"{which} ended with {second.ending}")
    before = fingerprint(first.played, subject.manifest.deterministic)
    if before != made:
        differ = sorted(name for name in {*before, *made} if before.get(name) != made.get(name))
        raise Broken(f"{which} made other files: {', '.join(differ)}")


CHECKS: Final = (
    Check("again", "A second run in a row makes the same.", again),
    Check(
        "other-organization", "A run for another organization makes the same.", other_organization
    ),
    Check("second-attempt", "A second attempt makes the same.", second_attempt),
    Check("deterministic", "Another process makes the same to the byte.", deterministic),
    Check("seed", "The same seed makes the same to the byte.", seed),
)
