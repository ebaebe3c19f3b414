"""What the first bytes of a picture claim, read without decoding anything.

PNG: W3C PNG (third edition), section 5. JPEG: ITU-T T.81, annex B. WebP: RFC 9649, section 2.
"""

import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Format: TypeAlias = Literal["PNG", "JPEG", "WEBP"]

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNKS = 200_000
"""How many chunks of a PNG are looked at; more are no picture."""

_TAIL = 1 << 16
"""How far before the end of a JPEG its end mark is looked for; some writers pad."""

_FRAMES = (0xC0, 0xC1, 0xC2)
_RARE_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
"""Lossless, hierarchical and arithmetic coding, which nothing that shows pictures reads."""


@dataclass(frozen=True, slots=True)
class Header:
    """``width`` and ``height`` in pixels as stored, before any orientation; ``scans`` counts the
    passes that a JPEG asks for (1 elsewhere); ``complete`` says whether the file goes to its end,
    ``sound`` whether its checksums are right, where it has any."""

    format: Format
    width: int
    height: int
    scans: int = 1
    complete: bool = True
    sound: bool = True


def read_header(path: Path) -> Header | None:
    """The header of a PNG, JPEG or WebP file; None when the bytes are none of the three, or end
    before they say a size."""
    if path.stat().st_size == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            if data[:8] == _PNG:
                return _png(data)
            if data[:2] == b"\xff\xd8":
                return _jpeg(data)
            if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
                return _webp(data)
        except (struct.error, IndexError):
            return None
    return None


def _png(data: mmap.mmap) -> Header:
    width, height = struct.unpack(">II", data[16:24])
    position = len(_PNG)
    for _ in range(_CHUNKS):
        if position + 12 > len(data):
            return Header("PNG", width, height, complete=False)
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        end = position + 8 + length
        if end + 4 > len(data):
            return Header("PNG", width, height, complete=False)
        if kind[0] < 0x60 and _checksum(data, position + 4, end) != data[end : end + 4]:
            break
        if kind == b"IEND":
            return Header("PNG", width, height)
        position = end + 4
    return Header("PNG", width, height, sound=False)


def _checksum(data: mmap.mmap, start: int, end: int) -> bytes:
    with memoryview(data) as whole, whole[start:end] as part:
        return struct.pack(">I", zlib.crc32(part))


def _jpeg(data: mmap.mmap) -> Header | None:
    position = 2
    while True:
        while data[position] == 0xFF and data[position + 1] == 0xFF:
            position += 1
        marker, length = struct.unpack(">xBH", data[position : position + 4])
        if data[position] != 0xFF or marker == 0xDA:
            return None
        if marker in _FRAMES:
            break
        if marker in _RARE_FRAMES:
            return None
        position += 2 + length
    height, width = struct.unpack(">HH", data[position + 5 : position + 9])
    complete = data.rfind(b"\xff\xd9", max(0, len(data) - _TAIL)) >= 0
    return Header("JPEG", width, height, scans=_scans(data, position), complete=complete)


def _scans(data: mmap.mmap, position: int) -> int:
    count = 0
    while (position := data.find(b"\xff\xda", position)) >= 0:
        count += 1
        position += 2
    return count


def _webp(data: mmap.mmap) -> Header | None:
    (length,) = struct.unpack("<I", data[4:8])
    complete = length + 8 <= len(data)
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack("<I", data[21:25])
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", data[26:30]))
    else:
        return None
    return Header("WEBP", width, height, complete=complete)
