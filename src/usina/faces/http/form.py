"""A submit as a form: the files themselves as parts named after the inputs, the rest as fields."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from usina.faces.http.submission import SUBMISSION, Submission
from usina.http_kit.body import parse_json, validated
from usina.http_kit.multipart import Part, read_parts
from usina.http_kit.problem import pointer, unknown_fields
from usina.kernel.errors import FieldError, Invalid, Malformed, TooLarge
from usina.kernel.files.reception import Reception

_TEXT: Final = frozenset({"model", "callback_url"})
_JSON: Final = frozenset(
    {"params", "labels", "priority", "max_attempts", "timeout_seconds", "strict", "reuse"}
)


@dataclass(frozen=True, slots=True)
class Form:
    """What a form says once all of it has arrived; its files wait in the reception."""

    fields: dict[str, str]
    inputs: dict[str, str | list[str]]
    fingerprint: str

    def submission(self) -> Submission:
        """The same submit as JSON would have said it."""
        values = {name: _value(name, text) for name, text in self.fields.items()}
        return validated(SUBMISSION, {**values, "inputs": self.inputs})


async def read_form(request: Request, reception: Reception, max_bytes: int) -> Form:
    """Takes the files in as they arrive; all fields together have at most ``max_bytes``."""
    fields: dict[str, str] = {}
    files: dict[str, list[str]] = {}
    seen: list[tuple[str, str]] = []
    async for part in read_parts(request):
        if part.filename is None:
            fields[part.name] = text = await _field(part, fields, max_bytes)
            seen.append((part.name, text))
        else:
            at = pointer(["inputs", part.name])
            chunks = part.chunks()
            file = await reception.take_in(part.filename, part.content_type, chunks, pointer=at)
            files.setdefault(part.name, []).append(file.id)
            seen.append((part.name, f"{file.name}\n{file.sha256}"))
    inputs = {name: ids if len(ids) > 1 else ids[0] for name, ids in files.items()}
    return Form(fields, inputs, _fingerprint(seen))


async def _field(part: Part, fields: dict[str, str], max_bytes: int) -> str:
    if part.name not in _TEXT | _JSON:
        message = "There is no such field; a file is a part with a file name."
        raise unknown_fields([FieldError(pointer([part.name]), message)])
    if part.name in fields:
        raise Invalid.at(pointer([part.name]), f"The field {part.name!r} stands twice.")
    text = await part.text(max_bytes)
    if sum(map(len, fields.values())) + len(text) > max_bytes:
        raise TooLarge(f"The fields of a form have at most {max_bytes} bytes together.")
    return text


def _value(name: str, text: str) -> Any:
    if name in _TEXT:
        return text
    try:
        return parse_json(text.encode())
    except Malformed as error:
        raise Invalid.at(
            f"/{name}", error.detail.replace("The body", f"The field {name}")
        ) from error


def _fingerprint(seen: list[tuple[str, str]]) -> str:
    """Of fields and contents; the order counts within one name only, the boundary not at all."""
    digest = hashlib.sha256()
    for name, content in sorted(seen, key=lambda item: item[0]):
        for text in (name, content):
            data = text.encode()
            digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()
