"""What the folder says of itself, before anything is run."""

import re
from typing import Any, Final

import jsonschema_rs

from usina.kernel.files.sniff import can_tell
from usina.kernel.runners.check.case import EXAMPLES
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.output import FITTING
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.probe import probe

_PLACEHOLDER: Final = re.compile(
    r"\W*(tbd|todo|fixme|unknown|unlicensed|none|n/?a|x+|\?+|license|licence|your .*)\W*",
    re.IGNORECASE,
)
_SHORTEST_DESCRIPTION: Final = 20


async def licence(subject: Subject) -> str:
    told = subject.manifest.license
    if _PLACEHOLDER.fullmatch(told):
        raise Broken(
            f"license is {told!r}; name the licence of the code and of its weights, best by its "
            "SPDX identifier, as MIT or Apache-2.0"
        )
    return told


async def description(subject: Subject) -> str:
    told = subject.manifest.description.strip()
    if len(told) < _SHORTEST_DESCRIPTION or " " not in told:
        raise Broken(f"description is {told!r}; say in a sentence what goes in and what comes out")
    return f"{len(told)} characters"


async def parameters(subject: Subject) -> str:
    faults: list[str] = []
    for name, schema in _properties(subject).items():
        if not str(schema.get("description", "")).strip():
            faults.append(f"{name} has no description")
        if not {"type", "enum", "const", "anyOf", "oneOf", "$ref"} & schema.keys():
            faults.append(f"{name} has no type, so any value is taken")
        faults.extend(_examples_that_do_not_fit(subject, name, schema))
    if faults:
        raise Broken("; ".join(faults))
    return f"{len(_properties(subject))} of them"


def _examples_that_do_not_fit(subject: Subject, name: str, schema: dict[str, Any]) -> list[str]:
    validator = jsonschema_rs.validator_for(schema)
    return [
        f"the example {example!r} of {name} does not fit its own schema"
        for example in schema.get("examples", [])
        if not validator.is_valid(example)
    ]


async def media_types(subject: Subject) -> str:
    faults = [
        f"{name} takes {media_type!r}, which no file is ever found to be"
        for name, spec in subject.manifest.inputs.items()
        for media_type in spec.media_types
        if not can_tell(media_type)
    ]
    if faults:
        raise Broken("; ".join(faults) + "; write the types that the platform tells by the bytes")
    if not subject.manifest.inputs:
        raise Unchecked("it takes no input")
    return ", ".join(
        f"{name}: {' '.join(spec.media_types) or 'any'}"
        for name, spec in subject.manifest.inputs.items()
    )


async def outputs(subject: Subject) -> str:
    declared = subject.manifest.outputs
    if not declared:
        raise Broken('no output is declared; name what the program makes: [outputs."NAME"]')
    faults = [
        f"{name!r} can not be of the kind {spec.kind}"
        for name, spec in declared.items()
        if (fitting := FITTING.get(name.rpartition(".")[2].lower())) and spec.kind not in fitting[1]
    ]
    if faults:
        raise Broken("; ".join(faults))
    return ", ".join(declared)


async def examples(subject: Subject) -> str:
    if subject.faults:
        raise Broken("; ".join(subject.faults))
    found = sorted(path.stem for path in (subject.manifest.folder / EXAMPLES).glob("*.json"))
    if not found:
        raise Unchecked(f"there are none; put one into {EXAMPLES}/NAME.json")
    return ", ".join(found)


async def answers_its_probe(subject: Subject) -> str:
    reason = (await probe(subject.manifest)).reason
    if reason is not None:
        raise Broken(reason)
    return "it can run here" if subject.manifest.probe else "no probe; its program is there"


def _properties(subject: Subject) -> dict[str, dict[str, Any]]:
    return subject.form.params_schema["properties"]


CHECKS: Final = (
    Check("license", "It names its licence.", licence),
    Check("description", "Its description tells people what it does.", description),
    Check(
        "parameters",
        "Each parameter has a description and a type, and the examples in its schema fit.",
        parameters,
    ),
    Check("media-types", "Its inputs take types that the platform can tell.", media_types),
    Check("outputs", "It declares what it makes, each of a fitting kind.", outputs),
    Check("examples", "Its examples are requests that the platform would take.", examples),
    Check("probe", "It says that it can run here.", answers_its_probe),
)
