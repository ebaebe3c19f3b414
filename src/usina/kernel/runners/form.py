"""The form of a job: a manifest's parameters and inputs, and what does not fit them.

Every refusal names its place and the remedy.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

from usina.kernel.errors import FieldError, Invalid
from usina.kernel.runners.manifest import InputSpec, Manifest

_MAX_ERRORS: Final = 20


@dataclass(frozen=True, slots=True)
class Form:
    """What a model asks for; ``defaults`` are of the parameters that have one."""

    model: str
    params_schema: dict[str, Any]
    defaults: dict[str, Any]
    inputs: Mapping[str, InputSpec]
    validator: jsonschema_rs.Validator

    @classmethod
    def of(cls, manifest: Manifest) -> "Form":
        schema = manifest.params_schema()
        properties: dict[str, dict[str, Any]] = schema["properties"]
        return cls(
            model=manifest.name,
            params_schema=schema,
            defaults={k: v["default"] for k, v in properties.items() if "default" in v},
            inputs=manifest.inputs,
            validator=jsonschema_rs.validator_for(schema),
        )

    def fill(self, given: Mapping[str, Any], at: str = "/params") -> dict[str, Any]:
        """The parameters with defaults filled in; raises ``Invalid``. ``at`` is the pointer of
        the parameters in the request."""
        self._refuse_unknown(at, given, self.params_schema["properties"], "parameter")
        params = {**self.defaults, **given}
        errors = [
            FieldError(
                at + "".join(f"/{escaped(str(part))}" for part in error.instance_path),
                error.message,
            )
            for error, _ in zip(
                self.validator.iter_errors(params), range(_MAX_ERRORS), strict=False
            )
        ]
        if errors:
            raise Invalid(f"params: {errors[0].message}", errors=errors)
        return params

    def check_inputs(self, given: Mapping[str, str | list[str]], at: str = "/inputs") -> None:
        """Whether the right inputs are named, one or many each; raises ``Invalid``."""
        self._refuse_unknown(at, given, self.inputs, "input")
        for name, spec in self.inputs.items():
            value = given.get(name)
            if spec.required and (value is None or value == []):
                message = f"{self.model} needs the input {name!r}."
                raise Invalid.at(f"{at}/{escaped(name)}", message)
            if isinstance(value, list) and not spec.many:
                message = f"The input {name!r} is one id, not a list."
                raise Invalid.at(f"{at}/{escaped(name)}", message)

    def check_media_type(self, name: str, media_type: str, at: str) -> None:
        """Whether the input may be of a type; raises ``Invalid``."""
        taken = self.inputs[name].media_types
        if taken and media_type not in taken:
            raise Invalid.at(
                at,
                f"{name!r} is {media_type} by its bytes; this model takes {', '.join(taken)}.",
                code="input_media_type",
            )

    def _refuse_unknown(
        self, at: str, given: Iterable[str], known: Collection[str], noun: str
    ) -> None:
        unknown = [name for name in given if name not in known]
        if not unknown:
            return
        errors = [
            FieldError(
                f"{at}/{escaped(name)}",
                f"{self.model} has no {noun} named {name!r}.{suggestion(name, known)}",
            )
            for name in unknown[:_MAX_ERRORS]
        ]
        raise Invalid(errors[0].message, code="unknown_field", errors=errors)


def suggestion(name: str, known: Collection[str]) -> str:
    """What may have been meant, as the end of a message."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known are: {', '.join(sorted(known))}." if known else " It takes none."


def escaped(part: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")
