"""Pictures that no sane program sends, made on the spot: nothing binary is committed.

`bad_images` must be refused, each for its own reason; `odd_images` are strange but true pictures
that must be accepted. Reasons are those of ``inflate-v1``.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

Kind = Literal["submit", "decode"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SCANS = 400
MANY = 10_000


@dataclass(frozen=True, slots=True)
class BadImage:
    """``media_type_sniffed_as`` is what the platform takes the bytes for (None where it takes no
    file at all); ``kind`` says when it is refused: when the job is submitted, or when it runs."""

    name: str
    data: bytes
    media_type_sniffed_as: str | None
    expected_reason: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class OddImage:
    name: str
    data: bytes
    media_type: str


def bad_images() -> Iterable[BadImage]:
    """Every case that must be refused."""
    yield BadImage("empty", b"", None, "empty_file", "submit")
    for name, data, media_type in _other_types():
        yield BadImage(name, data, media_type, "input_media_type", "submit")
    for name, data, reason in _bad_pngs():
        yield BadImage(name, data, "image/png", reason, "decode")
    for name, data, reason in _bad_jpegs():
        yield BadImage(name, data, "image/jpeg", reason, "decode")
    for name, data, reason in _bad_webps():
        yield BadImage(name, data, "image/webp", reason, "decode")


def odd_images() -> Iterable[OddImage]:
    """Every case that must be accepted, with the same object in it: a disc on white."""
    for name, data in _odd_pngs():
        yield OddImage(name, data, "image/png")
    for name, data in _odd_jpegs():
        yield OddImage(name, data, "image/jpeg")
    for name, data in _odd_webps():
        yield OddImage(name, data, "image/webp")


def disc(width: int = 96, height: int = 72) -> Image.Image:
    """A dark red disc on white, its edge smooth."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    away = np.hypot(x - width / 2, y - height / 2) - 0.35 * height
    cover = np.clip(0.5 - away, 0, 1)[..., None]
    pixels = cover * np.array([150, 30, 40]) + (1 - cover) * 255
    return Image.fromarray(pixels.astype(np.uint8))


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def ihdr(width: int, height: int, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def after_header(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks right behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def zeros(length: int) -> bytes:
    """``length`` zeros, deflated without being held."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(length >> 20)]
    parts += [packer.compress(bytes(length & (1 << 20) - 1)), packer.flush()]
    return b"".join(parts)


def segment(marker: int, content: bytes) -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def after_start(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments right behind its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def _other_types() -> Iterator[tuple[str, bytes, str]]:
    gif = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6)
    gif += (b"," + bytes(4) + b"\1\0\1\0\0\2\2D\1\0") * (10 * MANY) + b";"
    bmp = bytearray(encode(disc(), "BMP"))
    bmp[22:26] = struct.pack("<i", -72)
    laughs = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(1, 9))
    svg = '<?xml version="1.0"?><!DOCTYPE svg [{}]><svg xmlns="http://www.w3.org/2000/svg">{}</svg>'
    xxe = svg.format('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;")
    yield "one_byte", b"\x89", "application/octet-stream"
    yield "gif_many_frames", gif, "image/gif"
    yield "bmp_negative_height", bytes(bmp), "image/bmp"
    yield "ico", encode(disc(), "ICO", sizes=[(32, 32)]), "image/x-icon"
    yield "tiff", encode(disc(), "TIFF"), "image/tiff"
    yield (
        "fits_gzip_bomb",
        gzip.compress(b"SIMPLE  =" + bytes(10 << 20), mtime=0),
        "application/gzip",
    )
    yield "eps", b"%!PS-Adobe-3.0 EPSF-3.0\n(r) file\n", "application/postscript"
    yield "svg_external_entity", xxe.encode(), "image/svg+xml"
    yield (
        "svg_billion_laughs",
        svg.format('<!ENTITY l1 "ha">' + laughs, "&l9;").encode(),
        "image/svg+xml",
    )
    yield "html_named_png", b"<!doctype html><script>alert(1)</script>", "text/html"
    yield "avif", _boxed(b"avif"), "image/avif"
    yield "heic", _boxed(b"heic"), "image/heic"
    yield "text_named_png", b"just words\n", "text/plain"


def _boxed(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1" + brand + bytes(64)


def _bad_pngs() -> Iterator[tuple[str, bytes, str]]:
    png = encode(disc(), "PNG")
    flat = encode(Image.new("RGB", (64, 64), "gray"), "PNG")
    end = chunk(b"IEND", b"")
    bomb = zeros(100 << 20)
    broken = bytearray(png)
    broken[png.index(b"IDAT") + 20] ^= 0xFF
    yield "png_signature_only", SIGNATURE, "image_unreadable"
    yield "png_header_cut", png[:20], "image_unreadable"
    yield "png_cut_in_data", png[: len(png) // 2], "image_truncated"
    yield "png_cut_before_data", png[:33], "image_truncated"
    yield "png_bad_data", bytes(broken), "image_unreadable"
    yield "png_no_data", SIGNATURE + ihdr(64, 64) + end, "image_unreadable"
    yield "png_too_little_data", _png(64, 64, zeros(10)), "image_truncated"
    yield "png_zero_size", _png(0, 0, zeros(1)), "image_too_small"
    yield "png_small", encode(disc(12, 12), "PNG"), "image_too_small"
    yield "png_thread", _png(1, 20_000, zeros(40_000)), "image_too_small"
    yield "png_strip", _png(20, 20_000, zeros(21 * 20_000)), "image_too_narrow"
    yield "png_bomb_of_bits", _png(65_535, 65_535, zeros(1 << 20), depth=1), "image_too_large"
    yield (
        "png_bomb_of_zeros",
        _png(30_000, 30_000, zeros(3751 * 30_000), depth=1),
        "image_too_large",
    )
    yield (
        "png_bomb_interlaced",
        _png(10_000, 10_000, zeros(1 << 20), interlace=1),
        "image_too_large",
    )
    yield "png_lying_size", _png(2**31 - 1, 2**31 - 1, zeros(100)), "image_too_large"
    yield "png_wrong_depth", _png(64, 64, zeros(64 * 65), depth=7), "image_unreadable"
    yield "png_wrong_colour", _png(64, 64, zeros(64 * 65), colour=5), "image_unreadable"
    yield "png_endless_chunk", png[:33] + b"\xff\xff\xff\xfftEXt" + png[33:], "image_truncated"
    yield "png_profile_bomb", after_header(png, chunk(b"iCCP", b"p\0\0" + bomb)), "image_unreadable"
    yield "png_text_bomb", after_header(png, chunk(b"zTXt", b"k\0\0" + bomb)), "image_unreadable"
    yield "png_two_headers", after_header(png, ihdr(4096, 4096)), "image_unreadable"
    yield "png_one_colour", flat, "mask_empty"
    yield "png_64_megapixels_of_nothing", _png(8000, 8000, zeros(8001 * 8000)), "mask_empty"


def _png(
    width: int, height: int, data: bytes, depth: int = 8, colour: int = 0, interlace: int = 0
) -> bytes:
    header = ihdr(width, height, depth, colour, interlace)
    return SIGNATURE + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _bad_jpegs() -> Iterator[tuple[str, bytes, str]]:
    jpeg = encode(disc(), "JPEG")
    progressive = encode(disc(), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    size_at = jpeg.index(b"\xff\xc0") + 5
    huge = jpeg[:size_at] + struct.pack(">HH", 65_500, 65_500) + jpeg[size_at + 4 :]
    yield "jpeg_start_only", b"\xff\xd8\xff\xe0", "image_unreadable"
    yield "jpeg_cut_in_data", jpeg[: len(jpeg) - 400], "image_truncated"
    yield "jpeg_cut_in_header", jpeg[:80], "image_unreadable"
    yield "jpeg_huge", huge, "image_too_large"
    yield (
        "jpeg_many_scans",
        progressive[:last] + progressive[last:-2] * SCANS + b"\xff\xd9",
        ("image_unreadable"),
    )
    yield "jpeg_arithmetic", jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1), "image_unreadable"
    yield "jpeg_two_sizes", after_start(jpeg, segment(0xC0, _frame(4096, 4096))), "image_unreadable"


def _frame(width: int, height: int) -> bytes:
    """The content of a JPEG's frame header: three components of 8 bits."""
    parts = bytes([1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1])
    return struct.pack(">BHHB", 8, height, width, 3) + parts


def _bad_webps() -> Iterator[tuple[str, bytes, str]]:
    webp = encode(disc(), "WEBP", lossless=True)
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_383).to_bytes(3, "little") * 2
    yield "webp_header_only", webp[:16], "image_unreadable"
    yield "webp_cut_in_data", webp[: len(webp) // 2], "image_truncated"
    yield "webp_huge_canvas", _riff(canvas + webp[12:]), "image_too_large"
    yield "webp_bad_data", webp[:30] + bytes(len(webp) - 30), "image_unreadable"
    yield (
        "webp_no_picture",
        _riff(b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\x3f\0\0" * 2),
        ("image_unreadable"),
    )


def _riff(content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


def _odd_pngs() -> Iterator[tuple[str, bytes]]:
    picture = disc()
    png = encode(picture, "PNG")
    grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    masked = picture.convert("RGBA")
    masked.putalpha(picture.convert("L").point(lambda level: 255 if level < 200 else 0))
    hidden = picture.convert("RGBA")
    hidden.putalpha(0)
    text = b"".join(chunk(b"tEXt", b"k\0" + b"v" * 20) for _ in range(MANY))
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + b" " * (20 << 20)
    yield "png", png
    yield "png_16_bit_grey", encode(Image.fromarray(grey), "PNG")
    yield "png_grey_alpha", encode(masked.convert("LA"), "PNG")
    yield "png_alpha_mask", encode(masked, "PNG")
    yield "png_all_transparent", encode(hidden, "PNG")
    yield "png_palette", encode(picture.quantize(16), "PNG")
    yield "png_palette_transparent", encode(picture.quantize(16), "PNG", transparency=0)
    yield "png_one_bit", encode(picture.convert("1", dither=Image.Dither.NONE), "PNG")
    yield "png_interlaced", encode(picture, "PNG", interlace=1)
    yield "png_many_chunks", after_header(png, text)
    yield "png_large_metadata", after_header(png, chunk(b"iTXt", xmp))
    yield "png_animated", _animated_png(png)
    yield "png_and_zip", png + b"PK\3\4" + bytes(200_000)
    yield "png_rotated", encode(picture, "PNG", exif=_exif(6))


def _animated_png(png: bytes) -> bytes:
    """Thousands of frames behind the first, each a copy of it."""
    at = png.index(b"IDAT") - 4
    (length,) = struct.unpack(">I", png[at : at + 4])
    data = png[at + 8 : at + 8 + length]
    control = struct.pack(">IIIIHHBB", 96, 72, 0, 0, 1, 10, 0, 0)
    frames = [chunk(b"acTL", struct.pack(">II", MANY // 10, 0))]
    frames.append(chunk(b"fcTL", struct.pack(">I", 0) + control))
    frames.append(chunk(b"IDAT", data))
    for number in range(1, MANY // 10):
        frames.append(chunk(b"fcTL", struct.pack(">I", 2 * number - 1) + control))
        frames.append(chunk(b"fdAT", struct.pack(">I", 2 * number) + data))
    return png[:33] + b"".join(frames) + chunk(b"IEND", b"")


def _odd_jpegs() -> Iterator[tuple[str, bytes]]:
    picture = disc()
    jpeg = encode(picture, "JPEG", quality=95)
    tables = jpeg.index(b"\xff\xc4")
    packets = [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b" " * 65_000)] * 320
    looped = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
    beyond = b"Exif\0\0MM\0*" + struct.pack(">IHHHII", 8, 9, 0x0112, 3, 2**31, 2**31)
    yield "jpeg", jpeg
    yield "jpeg_grey", encode(picture.convert("L"), "JPEG")
    yield "jpeg_cmyk", encode(picture.convert("CMYK"), "JPEG")
    yield "jpeg_progressive", encode(picture, "JPEG", progressive=True)
    yield "jpeg_with_place", encode(picture, "JPEG", exif=_exif(1))
    yield "jpeg_rotated", encode(picture, "JPEG", exif=_exif(8))
    yield "jpeg_looped_exif", after_start(jpeg, segment(0xE1, looped))
    yield "jpeg_broken_exif", after_start(jpeg, segment(0xE1, beyond))
    yield "jpeg_large_metadata", after_start(jpeg, *packets)
    yield "jpeg_no_tables", jpeg[:tables] + jpeg[jpeg.index(b"\xff\xda") :]
    yield (
        "jpeg_of_two_pictures",
        encode(picture, "MPO", save_all=True, append_images=[picture.rotate(90)]),
    )


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "S"
    exif.get_ifd(0x8825)[2] = (23.0, 33.0, 1.0)
    return exif


def _odd_webps() -> Iterator[tuple[str, bytes]]:
    picture = disc()
    masked = picture.convert("RGBA")
    masked.putalpha(picture.convert("L").point(lambda level: 255 if level < 200 else 0))
    yield "webp", encode(picture, "WEBP", quality=95)
    yield "webp_alpha_mask", encode(masked, "WEBP", lossless=True)
    yield (
        "webp_animated",
        encode(
            picture, "WEBP", save_all=True, append_images=[picture.rotate(9 * n) for n in range(30)]
        ),
    )
