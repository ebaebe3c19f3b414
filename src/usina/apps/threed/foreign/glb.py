"""Reading a binary glTF 2.0 file (ISO/IEC 12113) that another program wrote.

What models write is read: triangles of any number of meshes, placed by their nodes, with one
texture of colours, colours at the points, or plain materials. Numbers of the file are not believed:
a place outside of it is a fault of the file, not of this program.
"""

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from PIL import Image

from usina.apps.threed.foreign.received import Received, unreadable
from usina.imaging.array import Anything, Bytes, Field

_MAX_TEXELS: Final = 8192 * 8192
_DEEPEST: Final = 64
_MOST: Final = 100_000_000
_MAGIC: Final = 0x46546C67
_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_TYPES: Final = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES: Final = 4
_KNOWN: Final = frozenset(("KHR_materials_unlit", "KHR_texture_transform", "EXT_texture_webp"))


_FAULTS: Final = (
    *(KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError),
    *(RecursionError, SyntaxError, OSError, struct.error, Image.DecompressionBombError),
)
"""What a file can make this reader, and the decoder of its pictures, stumble over."""


def read_glb(path: Path) -> Received:
    """The whole scene as one surface; raises `usina_runner.Failure` for what can not be
    read."""
    try:
        return _read(path.read_bytes())
    except _FAULTS as error:
        raise unreadable(f"{type(error).__name__} {error}") from None


@dataclass(frozen=True, slots=True)
class _Part:
    """One primitive where its node puts it; ``material`` is its number, or none."""

    received: Received
    material: int | None


class _File:
    def __init__(self, document: dict[str, Any], binary: bytes) -> None:
        self.told = document
        self._binary = binary

    def accessor(self, number: int) -> Anything:
        """``(n, width)`` as stored, normalised where the file says so."""
        told = self.told["accessors"][number]
        if "sparse" in told:
            raise ValueError("sparse accessors are not read")
        kind, width, count = (
            np.dtype(_TYPES[told["componentType"]]),
            _WIDTHS[told["type"]],
            told["count"],
        )
        if not 0 <= count <= _MOST:
            raise ValueError(f"accessor {number} counts {count}")
        if "bufferView" not in told:
            return np.zeros((count, width), dtype=kind)
        view = self.told["bufferViews"][told["bufferView"]]
        data = self.view(told["bufferView"])[told.get("byteOffset", 0) :]
        row = kind.itemsize * width
        stride = view.get("byteStride") or row
        if stride < row or (count and (count - 1) * stride + row > len(data)):
            raise ValueError(f"accessor {number} reaches beyond its bytes")
        if count == 0:
            return np.zeros((0, width), dtype=kind)
        taken = np.frombuffer(data, np.uint8, (count - 1) * stride + row)
        rows = np.lib.stride_tricks.as_strided(taken, (count, row), (stride, 1))
        values = np.ascontiguousarray(rows).view(kind)
        whole = told.get("normalized") and kind.kind in "iu"
        return values / np.iinfo(kind).max if whole else values

    def view(self, number: int) -> bytes:
        told = self.told["bufferViews"][number]
        begin = told.get("byteOffset", 0)
        end = begin + told["byteLength"]
        if told.get("buffer", 0) != 0 or not 0 <= begin <= end <= len(self._binary):
            raise ValueError(f"buffer view {number} reaches beyond the file")
        return self._binary[begin:end]

    def texture(self, material: int | None) -> Bytes | None:
        """The picture of a material's colours, if it wears one."""
        worn = self._worn(material).get("baseColorTexture")
        if worn is None:
            return None
        texture = self.told["textures"][worn["index"]]
        source = texture.get("extensions", {}).get("EXT_texture_webp", texture)["source"]
        content = self.view(self.told["images"][source]["bufferView"])
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
            if image.width * image.height > _MAX_TEXELS:
                raise ValueError(f"a texture of {image.width} x {image.height} pixels")
            return np.ascontiguousarray(np.asarray(image.convert("RGB")))

    def factor(self, material: int | None) -> Field:
        """Its plain colour, in linear light."""
        told = self._worn(material).get("baseColorFactor", (1, 1, 1, 1))
        return np.clip(np.array(told[:3], dtype=np.float64), 0, 1)

    def _worn(self, material: int | None) -> dict[str, Any]:
        if material is None:
            return {}
        return dict(self.told["materials"][material].get("pbrMetallicRoughness", {}))


def _read(content: bytes) -> Received:
    file = _File(*_chunks(content))
    strange = set(file.told.get("extensionsRequired", ())) - _KNOWN
    if strange:
        raise ValueError(f"it needs {', '.join(sorted(strange))}")
    parts = list(_parts(file))
    if not parts:
        return Received(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    return _joined(file, parts)


def _chunks(content: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, length = struct.unpack_from("<III", content)
    if magic != _MAGIC or version != 2 or length > len(content):
        raise ValueError("it is no whole binary glTF 2.0")
    document: Any = None
    binary, offset = b"", 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<II", content, offset)
        chunk = content[offset + 8 : offset + 8 + size]
        if kind == _JSON and document is None:
            document = json.loads(chunk)
        elif kind == _BINARY and not binary:
            binary = chunk
        offset += 8 + size
    if not isinstance(document, dict):
        raise ValueError("it has no description")
    return cast("dict[str, Any]", document), binary


def _parts(file: _File) -> Iterator[_Part]:
    told: Any = file.told
    scenes = told.get("scenes")
    for root in scenes[told.get("scene", 0)].get("nodes", ()) if scenes else ():
        yield from _node(file, root, np.eye(4), 0)


def _node(file: _File, number: int, above: Field, depth: int) -> Iterator[_Part]:
    if depth > _DEEPEST:
        raise ValueError("its nodes are nested without end")
    node = file.told["nodes"][number]
    place = above @ _placed(node)
    if "mesh" in node:
        for primitive in file.told["meshes"][node["mesh"]]["primitives"]:
            if primitive.get("mode", _TRIANGLES) == _TRIANGLES:
                yield _primitive(file, primitive, place)
    for child in node.get("children", ()):
        yield from _node(file, child, place, depth + 1)


def _placed(node: dict[str, Any]) -> Field:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    placed = np.eye(4)
    placed[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)))
    placed[:3, 3] = node.get("translation", (0, 0, 0))
    return placed


def _primitive(file: _File, told: dict[str, Any], place: Field) -> _Part:
    attributes = told["attributes"]
    points = file.accessor(attributes["POSITION"]).astype(np.float64)
    if "indices" in told:
        faces = file.accessor(told["indices"]).astype(np.int64).reshape(-1, 3)
    else:
        faces = np.arange(len(points), dtype=np.int64).reshape(-1, 3)
    if len(faces) and (faces.min() < 0 or faces.max() >= len(points)):
        raise ValueError("a triangle names a point that is not there")
    turn = place[:3, :3]
    if np.linalg.det(turn) < 0:
        faces = faces[:, ::-1]
    normals = _of_each(file, attributes, "NORMAL", len(points))
    colours = _of_each(file, attributes, "COLOR_0", len(points))
    received = Received(
        points=points @ turn.T + place[:3, 3],
        faces=faces,
        normals=None if normals is None else normals @ np.linalg.pinv(turn),
        uv=_of_each(file, attributes, "TEXCOORD_0", len(points)),
        colours=None if colours is None else _level(colours[:, :3], linear=False),
    )
    return _Part(received, told.get("material"))


def _of_each(file: _File, attributes: dict[str, int], name: str, count: int) -> Field | None:
    if name not in attributes:
        return None
    values = file.accessor(attributes[name]).astype(np.float64)
    if len(values) != count:
        raise ValueError(f"{name} has another length than the points")
    return values


def _joined(file: _File, parts: list[_Part]) -> Received:
    """One surface: textured where all wear the same picture, else coloured at its points."""
    starts = np.cumsum([0, *(len(part.received.points) for part in parts)])
    joined = Received(
        points=np.concatenate([part.received.points for part in parts]),
        faces=np.concatenate(
            [part.received.faces + start for part, start in zip(parts, starts, strict=False)]
        ),
        normals=_all([part.received.normals for part in parts]),
    )
    worn = {part.material for part in parts}
    uv = _all([part.received.uv for part in parts])
    texture = file.texture(next(iter(worn))) if len(worn) == 1 else None
    if texture is not None and uv is not None:
        return Received(joined.points, joined.faces, joined.normals, _wrapped(uv), texture)
    colours = np.concatenate([_colours(file, part) for part in parts])
    return Received(joined.points, joined.faces, joined.normals, colours=colours)


def _all(values: list[Field | None]) -> Field | None:
    there = [value for value in values if value is not None]
    return np.concatenate(there) if len(there) == len(values) else None


def _wrapped(uv: Field) -> Field:
    """Within the picture, which repeats beyond its edges."""
    uv = np.nan_to_num(uv)
    inside = (uv >= 0) & (uv <= 1)
    return np.where(inside, uv, uv - np.floor(uv))


def _colours(file: _File, part: _Part) -> Bytes:
    if part.received.colours is not None:
        return part.received.colours
    plain = _level(file.factor(part.material)[None], linear=True)
    return np.repeat(plain, len(part.received.points), axis=0)


def _level(values: Field, *, linear: bool) -> Bytes:
    """0..1 as 8 bits. Colours at points are linear by the letter of glTF, but exporters write them
    as they are shown; materials keep to it."""
    shown = np.clip(np.nan_to_num(values), 0, 1)
    if linear:
        shown = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return (shown * 255 + 0.5).astype(np.uint8)
