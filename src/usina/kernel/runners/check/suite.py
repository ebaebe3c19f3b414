"""Every check in its order, on one runner folder."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from usina.kernel.errors import Invalid
from usina.kernel.runners.bench import bench
from usina.kernel.runners.check import (
    intake,
    limit,
    manifest,
    network,
    output,
    parameter,
    repeat,
    speech,
    stop,
    trace,
)
from usina.kernel.runners.check.case import Case, read_examples
from usina.kernel.runners.check.finding import Broken, Check, Finding, Unchecked, Verdict
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.form import Form
from usina.kernel.runners.manifest import ManifestError, load_manifest

CHECKS: Final[tuple[Check, ...]] = (
    *manifest.CHECKS,
    *speech.CHECKS,
    *output.CHECKS,
    *intake.CHECKS,
    *parameter.CHECKS,
    *repeat.CHECKS,
    *stop.CHECKS,
    *limit.CHECKS,
    *trace.CHECKS,
    *network.CHECKS,
)
MANIFEST: Final = "manifest"
MANIFEST_SENTENCE: Final = "Its runner.toml can be read, with known keys and right values."

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def examine(
    folder: Path,
    given: Case | None = None,
    *,
    timeout_seconds: float | None = None,
    only: Collection[str] = (),
    environment: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
    begun: Callable[[str, float], None] = lambda name, share: None,
) -> list[Finding]:
    """What each check found, in their order; ``only`` names those to make.

    ``given`` takes the place of the folder's examples. ``timeout_seconds`` bounds each run,
    instead of the manifest's. ``devices`` are GPUs to lend. ``begun`` is told the check that
    begins, and the share of those done.
    """
    began = time.perf_counter()
    wanted = [check for check in CHECKS if not only or check.name in only]
    try:
        told = load_manifest(folder, environment or {})
    except ManifestError as error:
        spent = time.perf_counter() - began
        first = "the manifest has to be right first"
        return [
            Finding(MANIFEST, MANIFEST_SENTENCE, "failed", str(error), spent),
            *(Finding(each.name, each.sentence, "not checked", first, 0.0) for each in wanted),
        ]
    found: list[Finding] = []
    if not only or MANIFEST in only:
        spent = time.perf_counter() - began
        words = f"{told.name} {told.version}"
        found.append(Finding(MANIFEST, MANIFEST_SENTENCE, "passed", words, spent))
    form = Form.of(told)
    async with bench(environment, devices=devices) as ground:
        examples, faults = read_examples(folder, form)
        cases = [given] if given is not None else examples or _without_anything(form)
        subject = Subject(told, form, cases, ground, timeout_seconds)
        subject.faults = faults
        for number, check in enumerate(wanted):
            begun(check.name, number / len(wanted))
            found.append(await _made(check, subject))
            subject.tidy()
    return found


async def _made(check: Check, subject: Subject) -> Finding:
    began = time.perf_counter()
    verdict: Verdict = "passed"
    try:
        why = await check.run(subject)
    except Broken as broken:
        verdict, why = "failed", str(broken)
    except Unchecked as unchecked:
        verdict, why = "not checked", str(unchecked)
    except Exception as error:
        _log.exception("check broke", check=check.name)
        verdict, why = "failed", f"the check itself broke ({type(error).__name__}: {error})"
    return Finding(check.name, check.sentence, verdict, why, time.perf_counter() - began)


def _without_anything(form: Form) -> list[Case]:
    """The defaults, and for what has none the first example of its schema, if the program is
    content with them."""
    properties: dict[str, dict[str, Any]] = form.params_schema["properties"]
    params = {
        name: properties[name]["examples"][0]
        for name in form.params_schema["required"]
        if name not in form.defaults and properties[name].get("examples")
    }
    case = Case("defaults", params, {})
    try:
        case.request(form)
    except Invalid:
        return []
    return [case]
