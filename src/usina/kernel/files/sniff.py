"""What a file is by its bytes. A declared type or a name only chooses among kinds of text."""

import re
from typing import Final

from usina.kernel.files.signature import BRANDS, HTML_TAGS, LIKELY, SIGNATURES

UNKNOWN: Final = "application/octet-stream"
_TEXT: Final = "text/plain"

_STL_HEADER: Final = 84
_STL_TRIANGLE: Final = 50
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n\f"
_CONTROL: Final = bytes({*range(32), 127} - {*b"\t\n\r\f\x1b"})
_HTML: Final = re.compile(
    rb"<(?:" + rb"|".join(map(re.escape, HTML_TAGS)) + rb")(?:[\s>]|(?<=--)|$)", re.IGNORECASE
)
_ASCII_STL: Final = re.compile(rb"solid\b[^\n]*\n\s*(facet|endsolid)\b", re.IGNORECASE)
_JSON: Final = re.compile(rb'\{\s*["}]|\[\s*(?:[\[{"\-\d\]]|true|false|null)|\{\s*$|\[\s*$')

_KINDS_OF_TEXT: Final = {
    "csv": "text/csv",
    "css": "text/css",
    "gltf": "model/gltf+json",
    "jsonl": "application/x-ndjson",
    "log": "text/plain",
    "md": "text/markdown",
    "mtl": "model/mtl",
    "ndjson": "application/x-ndjson",
    "obj": "model/obj",
    "toml": "application/toml",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
_DECLARABLE: Final = re.compile(
    r"text/[a-z0-9.+-]{1,100}|model/(?:obj|mtl|step|iges)"
    r"|application/(?:x-ndjson|yaml|toml|x-yaml|sql)"
)
_JSON_KINDS: Final = re.compile(
    r"application/(?:x-ndjson|(?:[a-z0-9.-]{1,100}\+)?json)|model/gltf\+json"
)

_TOLD: Final = frozenset(
    {signature.media_type for signature in SIGNATURES}
    | {*BRANDS.values(), *_KINDS_OF_TEXT.values(), UNKNOWN}
    | {"video/mp4", "video/webm", "video/x-matroska", "video/quicktime", "model/stl"}
    | {"text/html", "image/svg+xml", "application/xml", "application/xhtml+xml"}
    | {"application/json"}
)


def sniff(head: bytes, size_bytes: int, *, declared: str | None = None, name: str = "") -> str:
    """The media type of a file of ``size_bytes`` that begins with ``head`` (4 KiB or all)."""
    text = bool(head) and _is_text(head, whole=len(head) == size_bytes)
    return (
        _by_signature(head, text=text)
        or _by_box(head)
        or _binary_stl(head, size_bytes)
        or (_kind_of_text(head, _hint(declared, name)) if text else UNKNOWN)
    )


def can_tell(media_type: str) -> bool:
    """Whether a file may be found to be of this type; an input that takes only others never gets
    one."""
    return (
        media_type in _TOLD
        or _DECLARABLE.fullmatch(media_type) is not None
        or _JSON_KINDS.fullmatch(media_type) is not None
    )


def _by_signature(head: bytes, *, text: bool) -> str | None:
    for signature in LIKELY[head[0]] if head else ():
        if signature.matches(head) and not (signature.weak and text):
            return signature.media_type
    return None


def _by_box(head: bytes) -> str | None:
    """Containers that say inside what they are: ISO base media and Matroska."""
    if head.startswith(b"ftyp", 4):
        return BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[4:8] in {b"moov", b"mdat", b"wide"}:
        return "video/quicktime"
    return None


def _binary_stl(head: bytes, size_bytes: int) -> str | None:
    """No signature, but the count of triangles and the size must agree."""
    count = int.from_bytes(head[_STL_HEADER - 4 : _STL_HEADER], "little")
    agrees = count > 0 and size_bytes == _STL_HEADER + _STL_TRIANGLE * count
    return "model/stl" if agrees and len(head) >= _STL_HEADER else None


def _kind_of_text(head: bytes, hint: str | None) -> str:
    begin = head.removeprefix(_BOM).lstrip(_SPACE)
    if begin.startswith(b"<"):
        return _markup(begin) or _plain(hint)
    if _ASCII_STL.match(begin):
        return "model/stl"
    if _JSON.match(begin):
        return _kind_of_json(hint)
    return _plain(hint)


def _is_text(head: bytes, *, whole: bool) -> bool:
    """Valid UTF-8 without controls; a head may end inside a character."""
    if head.translate(None, _CONTROL) != head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data" and error.start >= len(head) - 3
        return cut and not whole
    return True


def _markup(begin: bytes) -> str | None:
    if _HTML.match(begin):
        return "text/html"
    low = begin.lower()
    if low.startswith((b"<svg", b"<!doctype svg")):
        return "image/svg+xml"
    if low.startswith(b"<?xml"):
        if b"<svg" in low or b"<!doctype svg" in low:
            return "image/svg+xml"
        return "application/xhtml+xml" if b"<html" in low else "application/xml"
    return None


def _kind_of_json(hint: str | None) -> str:
    """JSON unless told to be of another kind; log lines and tables may begin like it too."""
    if hint and (_JSON_KINDS.fullmatch(hint) or _DECLARABLE.fullmatch(hint)):
        return hint
    return "application/json"


def _plain(hint: str | None) -> str:
    return hint if hint and _DECLARABLE.fullmatch(hint) else _TEXT


def _hint(declared: str | None, name: str) -> str | None:
    """The declared type without parameters; one that says nothing yields to the name's ending."""
    told = (declared or "").partition(";")[0].strip().lower()
    if told not in {"", UNKNOWN}:
        return told
    _, dot, ending = name.rpartition(".")
    return _KINDS_OF_TEXT.get(ending.lower()) if dot else None
