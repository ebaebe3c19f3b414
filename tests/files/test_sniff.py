"""The type of a file is what its bytes say; what somebody declares only chooses a kind of text."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from usina.kernel.files.sniff import UNKNOWN, sniff
from usina.kernel.storage.digest import HEAD_BYTES


def type_of(data: bytes, declared: str | None = None, name: str = "") -> str:
    return sniff(data[:HEAD_BYTES], len(data), declared=declared, name=name)


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(out, kind)
    return out.getvalue()


def stl(triangles: int) -> bytes:
    return (
        b"solid in name only".ljust(80, b"\0")
        + struct.pack("<I", triangles)
        + bytes(50 * triangles)
    )


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("a.txt", "a")
    return out.getvalue()


def glb() -> bytes:
    return b"glTF" + struct.pack("<II", 2, 20) + struct.pack("<I", 0) + b"JSON"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (picture("PNG"), "image/png"),
        (picture("JPEG"), "image/jpeg"),
        (picture("WEBP"), "image/webp"),
        (picture("GIF"), "image/gif"),
        (picture("BMP"), "image/bmp"),
        (picture("TIFF"), "image/tiff"),
        (picture("ICO"), "image/x-icon"),
        (picture("PPM"), UNKNOWN),
        (glb(), "model/gltf-binary"),
        (stl(1), "model/stl"),
        (stl(1000), "model/stl"),
        (stl(1)[:-1], UNKNOWN),
        (b"solid cube\n facet normal 0 0 1\n  outer loop\n", "model/stl"),
        (b"ply\nformat ascii 1.0\n", "model/ply"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (archive(), "application/zip"),
        (b"\x1f\x8b\x08\0rest", "application/gzip"),
        (bytes(257) + b"ustar\x0000", "application/x-tar"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video/mp4"),
        (b"\0\0\0\x20ftypmp42\0\0\2\0", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0", "video/quicktime"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "image/heic"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\x82\x88matroska", "video/x-matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"ID3\3\0\0\0", "audio/mpeg"),
        (b"\x7fELF\2\1\1\0", "application/x-executable"),
        (b"MZ\x90\0\3\0", "application/vnd.microsoft.portable-executable"),
        (b"SIMPLE  =                    T", "image/fits"),
        (b"\0\1\2\3", UNKNOWN),
        (b"\xff\xfe\0\0", UNKNOWN),
        (b"", UNKNOWN),
        (b"hello\n", "text/plain"),
        ("façade, naïve, 工場\n".encode(), "text/plain"),
        ("façade".encode("latin-1"), UNKNOWN),
        (b"MZ is how this note begins", "text/plain"),
        (b"ID3 tags, a primer", "text/plain"),
        (b'{"a": 1}', "application/json"),
        (b"  [1, 2, 3]", "application/json"),
        (b"[]", "application/json"),
        (b"{}", "application/json"),
        (b"[section]\nkey = value\n", "text/plain"),
        (b"{curly} but no json", "text/plain"),
        (b'\xef\xbb\xbf{"bom": true}', "application/json"),
        (b"<?xml version='1.0'?><note/>", "application/xml"),
        (b"<note/>", "text/plain"),
    ],
)
def test_by_the_bytes(data: bytes, expected: str) -> None:
    assert type_of(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><html></html>",
        b"<!doctype HTML>",
        b"\n\t <HTML lang=en>",
        b"\xef\xbb\xbf<html>",
        b"<head>",
        b"<script>alert(1)</script>",
        b"<SCRIPT src=x>",
        b"<iframe src=x>",
        b"<body onload=x>",
        b"<img src=x onerror=alert(1)>",
        b"<a href=x>",
        b"<!-- a comment --><script>",
        b"<p>",
        b"<style>",
    ],
)
@pytest.mark.parametrize(
    ("declared", "name"),
    [(None, "a.html"), ("image/png", "a.png"), ("text/plain", "a.txt"), ("text/csv", "a.csv")],
)
def test_html_is_html_whatever_it_is_called(data: bytes, declared: str | None, name: str) -> None:
    assert type_of(data, declared, name) == "text/html"


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?>\n<svg/>",
        b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg/>",
        b"<!DOCTYPE svg PUBLIC 'x'>",
        b"<SVG onload=alert(1)>",
    ],
)
@pytest.mark.parametrize("declared", [None, "image/png", "text/plain"])
def test_svg_is_svg_whatever_it_is_called(data: bytes, declared: str | None) -> None:
    assert type_of(data, declared, "picture.png") == "image/svg+xml"


def test_bytes_beat_names_and_declared_types() -> None:
    assert type_of(picture("PNG"), "image/jpeg", "photo.jpg") == "image/png"
    assert type_of(picture("JPEG") + archive(), "application/zip", "x.zip") == "image/jpeg"
    assert type_of(b"\0\1\2", "image/png", "a.png") == UNKNOWN
    assert type_of(b"not a picture", "image/png", "a.png") == "text/plain"
    assert type_of(b"not a model", "model/gltf-binary", "a.glb") == "text/plain"
    assert type_of(b"\0\1\2", "text/csv", "a.csv") == UNKNOWN


@pytest.mark.parametrize(
    ("declared", "name", "expected"),
    [
        ("text/csv", "", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "", "text/csv"),
        ("model/obj", "", "model/obj"),
        (None, "particles.csv", "text/csv"),
        ("application/octet-stream", "mesh.OBJ", "model/obj"),
        ("", "mesh.mtl", "model/mtl"),
        ("text/markdown", "a.csv", "text/markdown"),
        ("image/png", "a.csv", "text/plain"),
        ("text/<script>", "", "text/plain"),
        ("text/plain\r\nX-Evil: 1", "", "text/plain"),
        (None, "csv", "text/plain"),
        (None, "log.txt", "text/plain"),
    ],
)
def test_a_hint_chooses_the_kind_of_text(declared: str | None, name: str, expected: str) -> None:
    assert type_of(b"a,b\n1,2\n", declared, name) == expected


@pytest.mark.parametrize(
    ("declared", "name", "expected"),
    [
        ("application/json", "", "application/json"),
        ("application/geo+json", "", "application/geo+json"),
        ("application/x-ndjson", "", "application/x-ndjson"),
        (None, "detections.ndjson", "application/x-ndjson"),
        (None, "scene.gltf", "model/gltf+json"),
        (None, "log.txt", "text/plain"),
        ("image/png", "", "application/json"),
    ],
)
def test_a_hint_chooses_the_kind_of_json(declared: str | None, name: str, expected: str) -> None:
    assert type_of(b'{"frame_number": 0}\n{"frame_number": 1}\n', declared, name) == expected


def test_a_character_that_the_head_cuts_is_still_text() -> None:
    text = "é".encode() * HEAD_BYTES
    assert type_of(b"x" + text) == "text/plain"
    assert type_of(text[: HEAD_BYTES - 1]) == UNKNOWN, "here the file itself ends inside one"


@given(st.binary(max_size=200), st.text(max_size=30), st.text(max_size=30))
def test_anything_has_a_type_that_can_stand_in_a_header(
    data: bytes, declared: str, name: str
) -> None:
    found = type_of(data, declared, name)
    assert found.isascii()
    assert found.count("/") == 1
    assert not set(found) & set(" ;,\"'<>\r\n\0")
