"""The form of a photo: one file, and a few words about it."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from usina.http_kit.multipart import Part, read_parts
from usina.http_kit.problem import pointer, unknown_fields
from usina.kernel.errors import FieldError, Invalid
from usina.kernel.files.reception import Reception

_PHOTO: Final = "photo"
_WHOLE: Final = frozenset({"size", "seed"})
_FIELDS: Final = frozenset({"style", "prompt", "callbackUrl"}) | _WHOLE
_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class PhotoForm:
    """``params`` are those of the model that were given."""

    params: dict[str, Any]
    callback_url: str | None
    fingerprint: str


async def read_photo_form(request: Request, reception: Reception) -> PhotoForm:
    """Takes the photo into the reception as it arrives. Its name is not kept: people name photos
    after people."""
    fields: dict[str, str] = {}
    async for part in read_parts(request):
        if part.name == _PHOTO and part.filename is not None:
            if reception.files:
                raise Invalid.at("/photo", "One photo at a time: the part stands twice.")
            await reception.take_in(_PHOTO, part.content_type, part.chunks(), pointer="/photo")
        else:
            fields[part.name] = await _field(part, fields)
    if not reception.files:
        raise Invalid.at("/photo", "Send the photo as a file in the part `photo`.")
    params = {name: _value(name, text) for name, text in fields.items() if name != "callbackUrl"}
    said = "\n".join(f"{name}={text!r}" for name, text in sorted(fields.items()))
    content = f"{reception.files[0].sha256}\n{said}".encode()
    return PhotoForm(params, fields.get("callbackUrl"), hashlib.sha256(content).hexdigest())


async def _field(part: Part, fields: dict[str, str]) -> str:
    at = pointer([part.name])
    if part.name not in _FIELDS:
        message = "There is no such field; the photo is a file in the part `photo`."
        raise unknown_fields([FieldError(at, message)])
    if part.name in fields:
        raise Invalid.at(at, f"The field {part.name!r} stands twice.")
    return await part.text(_MOST_BYTES)


def _value(name: str, text: str) -> str | int:
    """As the model's parameter wants it."""
    if name not in _WHOLE:
        return text
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise Invalid.at(f"/{name}", f"{name} takes a whole number.")
