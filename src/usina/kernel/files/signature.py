"""How the formats begin that the platform knows by their bytes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Signature:
    """``parts`` are bytes at offsets; all must stand there. A text may begin so if ``weak``."""

    media_type: str
    parts: tuple[tuple[int, bytes], ...]
    weak: bool = False

    def matches(self, head: bytes) -> bool:
        return all(head.startswith(part, offset) for offset, part in self.parts)


def _at(media_type: str, *parts: tuple[int, bytes]) -> Signature:
    return Signature(media_type, parts)


def _starts(media_type: str, *beginnings: bytes) -> tuple[Signature, ...]:
    return tuple(_at(media_type, (0, beginning)) for beginning in beginnings)


def _weak(media_type: str, *beginnings: bytes) -> tuple[Signature, ...]:
    return tuple(Signature(media_type, ((0, beginning),), weak=True) for beginning in beginnings)


SIGNATURES: Final = (
    *_starts("image/png", b"\x89PNG\r\n\x1a\n"),
    *_starts("image/jpeg", b"\xff\xd8\xff"),
    *_starts("image/gif", b"GIF87a", b"GIF89a"),
    _at("image/webp", (0, b"RIFF"), (8, b"WEBP")),
    *_starts("image/tiff", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    _at("image/bmp", (0, b"BM"), (6, b"\0\0\0\0")),
    *_starts("image/x-icon", b"\0\0\1\0"),
    *_weak("image/vnd.adobe.photoshop", b"8BPS"),
    *_starts("image/jxl", b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"),
    *_starts("image/jp2", b"\0\0\0\x0cjP  \r\n\x87\n"),
    *_starts("image/x-exr", b"\x76\x2f\x31\x01"),
    *_starts("image/fits", b"SIMPLE  = "),
    _at("model/gltf-binary", (0, b"glTF"), (5, b"\0\0\0")),
    *_starts("model/ply", b"ply\nformat ", b"ply\r\nformat "),
    *_starts("application/pdf", b"%PDF-"),
    *_starts("application/postscript", b"%!PS", b"\xc5\xd0\xd3\xc6"),
    *_starts("application/zip", b"PK\x03\x04", b"PK\x05\x06"),
    *_starts("application/gzip", b"\x1f\x8b\x08"),
    *_weak("application/x-bzip2", b"BZh"),
    *_starts("application/x-xz", b"\xfd7zXZ\0"),
    *_starts("application/zstd", b"\x28\xb5\x2f\xfd"),
    *_starts("application/x-7z-compressed", b"7z\xbc\xaf\x27\x1c"),
    *_starts("application/vnd.rar", b"Rar!\x1a\x07"),
    _at("application/x-tar", (257, b"ustar")),
    _at("video/x-msvideo", (0, b"RIFF"), (8, b"AVI ")),
    *_starts("video/mpeg", b"\0\0\1\xba", b"\0\0\1\xb3"),
    *_starts("video/x-flv", b"FLV\x01"),
    Signature("video/mp2t", ((0, b"G"), (188, b"G"), (376, b"G")), weak=True),
    _at("audio/wav", (0, b"RIFF"), (8, b"WAVE")),
    *_weak("audio/mpeg", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    *_weak("audio/flac", b"fLaC"),
    *_weak("application/ogg", b"OggS"),
    *_starts("application/x-hdf5", b"\x89HDF\r\n\x1a\n"),
    *_starts("application/x-npy", b"\x93NUMPY"),
    *_weak("application/vnd.apache.parquet", b"PAR1"),
    *_starts("application/vnd.sqlite3", b"SQLite format 3\0"),
    *_starts("application/wasm", b"\0asm"),
    *_starts("application/x-executable", b"\x7fELF"),
    *_weak("application/vnd.microsoft.portable-executable", b"MZ"),
    *_weak("font/woff2", b"wOF2"),
)


def _by_first_byte() -> tuple[tuple[Signature, ...], ...]:
    return tuple(
        tuple(s for s in SIGNATURES if s.parts[0][0] > 0 or s.parts[0][1][0] == first)
        for first in range(256)
    )


LIKELY: Final = _by_first_byte()
"""By a file's first byte, the signatures that it may bear, in their order."""

BRANDS: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
}
"""Major brands of ISO base media files that are not ``video/mp4``."""

HTML_TAGS: Final = (
    *(b"!doctype html", b"html", b"head", b"script", b"iframe", b"h1", b"div", b"font"),
    *(b"table", b"a", b"style", b"title", b"b", b"body", b"br", b"p", b"!--", b"meta", b"img"),
)
"""What a browser takes for HTML at the beginning of a text (WHATWG MIME sniffing, and two more)."""
