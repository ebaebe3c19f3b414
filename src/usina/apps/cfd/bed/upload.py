"""What is sent to a bed: its parameters as a `.bed` text or JSON, its particles, or a shape."""

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from starlette.requests import Request

from usina.apps.cfd.bed.language.reader import MOST_BYTES, read_bed
from usina.apps.cfd.bed.plan import BedPlan, changed
from usina.http_kit.body import parse_json
from usina.http_kit.multipart import read_parts
from usina.http_kit.problem import unknown_fields
from usina.kernel.errors import FieldError, Invalid, Malformed, TooLarge
from usina.kernel.files.file import File
from usina.kernel.files.reception import Reception
from usina.kernel.platform import Platform

_PART: Final = "file"
_AT: Final = "/file"
_COLUMNS: Final = ("x_m", "y_m", "z_m", "diameter_m")
_LONGEST_HEADER: Final = 4096
_FORM_SLACK: Final = 64 * 1024


class Sent(Enum):
    """What an upload is by its bytes; its name only tells texts apart."""

    PARAMETERS = "a .bed text or the JSON of a bed"
    PARTICLES = "a table of particles"
    SHAPE = "an STL"


@dataclass(frozen=True, slots=True)
class Upload:
    kind: Sent
    file: File

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.file.name}\n{self.file.sha256}".encode()).hexdigest()


async def read_upload(request: Request, platform: Platform, reception: Reception) -> Upload:
    """The one file of the form, taken in; raises ``Invalid`` (``bed_file_unknown``) for one that
    is nothing of a bed."""
    most = platform.settings.max_upload_bytes + _FORM_SLACK
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise TooLarge(f"The body has {declared} bytes; a file has at most USINA_MAX_UPLOAD_BYTES.")
    async for part in read_parts(request):
        if part.name != _PART:
            raise unknown_fields([FieldError(f"/{part.name}", "The form has one field, file.")])
        if reception.files:
            raise Invalid.at(_AT, "The field stands twice; send one file at a time.")
        await reception.take_in(part.filename or "", part.content_type, part.chunks())
    if not reception.files:
        raise Invalid.at(_AT, "The form has no field named file.")
    (file,) = reception.files
    return Upload(await _kind(platform, file), file)


async def read_parameters(platform: Platform, upload: Upload, plan: BedPlan) -> BedPlan:
    """The bed that the text says; JSON is read as the body of a change."""
    if upload.file.size_bytes > MOST_BYTES:
        raise TooLarge(f"The parameters of a bed have at most {MOST_BYTES} bytes.")
    content = await _head(platform, upload.file, MOST_BYTES)
    if upload.file.media_type == "application/json":
        return changed(plan, _object(content))
    try:
        return read_bed(content.decode("utf-8-sig"), plan)
    except UnicodeDecodeError as error:
        raise Invalid.at(_AT, "The text is not UTF-8.", code="bed_syntax") from error


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = parse_json(content)
    except Malformed as error:
        raise Invalid.at(_AT, error.detail, code="bed_syntax") from error
    if not isinstance(value, dict):
        raise Invalid.at(_AT, "The JSON of a bed is an object.")
    return value  # pyright: ignore[reportUnknownVariableType]


async def _kind(platform: Platform, file: File) -> Sent:
    if file.media_type == "model/stl":
        return Sent.SHAPE
    if file.media_type == "application/json":
        return Sent.PARAMETERS
    if file.media_type.startswith("text/"):
        header = (await _head(platform, file, _LONGEST_HEADER)).partition(b"\n")[0]
        columns = [c.strip() for c in header.decode("utf-8-sig", "replace").split(",")]
        if set(_COLUMNS) <= set(columns):
            return Sent.PARTICLES
        if file.media_type != "text/csv":
            return Sent.PARAMETERS
        lacking = ", ".join(name for name in _COLUMNS if name not in columns)
        raise Invalid.at(_AT, f"line 1: the columns {lacking} are missing.", code="bed_value")
    kinds = ", ".join(kind.value for kind in Sent)
    message = f"{file.media_type} is nothing of a bed: send {kinds}."
    raise Invalid.at(_AT, message, code="bed_file_unknown")


async def _head(platform: Platform, file: File, most: int) -> bytes:
    parts = platform.files.read(file, 0, min(most, file.size_bytes))
    return b"".join([bytes(part) async for part in parts])
