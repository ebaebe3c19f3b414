"""Small bodies whose every number is known, and a reader of GLB that trusts nothing."""

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from usina.apps.threed.mesh import Mesh, face_normals
from usina.apps.threed.surface import Surface, dress
from usina.imaging.array import Bytes, Field, Indices

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def cube(size: float = 1.0) -> Mesh:
    faces = [(q[0], q[i], q[i + 1]) for q in QUADS for i in (1, 2)]
    return Mesh(CORNERS * size, np.array(faces, dtype=np.int64))


def coloured_cube() -> Surface:
    """A cube 0.1 m wide with flat faces; left, right, bottom, top, back and front are one colour
    each, side by side in the texture."""
    mesh = cube()
    texture = np.repeat(PALETTE[None], 4, axis=0).repeat(4, axis=1)
    side = np.repeat(np.arange(6), 2)
    uv = np.broadcast_to(((side + 0.5) / 6)[:, None, None], (12, 3, 2)).copy()
    uv[..., 1] = 0.5
    normals = np.repeat(face_normals(mesh)[:, None], 3, axis=1)
    return dress(mesh, normals, uv, texture, 0.1)


PALETTE: Bytes = np.array(
    [[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0], [0, 200, 200], [200, 0, 200]],
    dtype=np.uint8,
)


@dataclass(frozen=True)
class Glb:
    document: dict[str, Any]
    positions: Field
    normals: Field
    uv: Field
    faces: Indices
    image: bytes


@dataclass(frozen=True)
class PaintedGlb:
    """``faces`` by primitive, each with its own material."""

    document: dict[str, Any]
    positions: Field
    normals: Field
    faces: list[Indices]


def read_glb(data: bytes) -> Glb:
    """Everything checked that glTF 2.0 asks for: header, chunks, alignment, bounds."""
    document, views, arrays = _read(data)
    primitive = document["meshes"][0]["primitives"][0]
    names = primitive["attributes"]
    image = document["images"][0]
    return Glb(
        document=document,
        positions=arrays[names["POSITION"]].astype(np.float64),
        normals=arrays[names["NORMAL"]].astype(np.float64),
        uv=arrays[names["TEXCOORD_0"]].astype(np.float64),
        faces=arrays[primitive["indices"]].reshape(-1, 3).astype(np.int64),
        image=views[image["bufferView"]],
    )


def read_painted_glb(data: bytes) -> PaintedGlb:
    """As `read_glb`, for a file with materials of one colour each."""
    document, _, arrays = _read(data)
    primitives = document["meshes"][0]["primitives"]
    assert [each["material"] for each in primitives] == [*range(len(document["materials"]))]
    names = primitives[0]["attributes"]
    assert all(each["attributes"] == names for each in primitives)
    return PaintedGlb(
        document=document,
        positions=arrays[names["POSITION"]].astype(np.float64),
        normals=arrays[names["NORMAL"]].astype(np.float64),
        faces=[arrays[each["indices"]].reshape(-1, 3).astype(np.int64) for each in primitives],
    )


def _read(data: bytes) -> tuple[dict[str, Any], list[bytes], list[Any]]:
    """The document, the bytes of its views, and the arrays of its accessors."""
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, json_kind = struct.unpack("<I4s", data[12:20])
    assert json_kind == b"JSON"
    assert json_length % 4 == 0
    document = json.loads(data[20 : 20 + json_length])
    at = 20 + json_length
    binary_length, binary_kind = struct.unpack("<I4s", data[at : at + 8])
    assert binary_kind == b"BIN\0"
    assert binary_length % 4 == 0
    assert at + 8 + binary_length == len(data)
    binary = data[at + 8 :]
    assert document["buffers"] == [{"byteLength": len(binary)}]
    views = [_view(view, binary) for view in document["bufferViews"]]
    accessors = document["accessors"]
    arrays = [_array(accessor, views, document["bufferViews"]) for accessor in accessors]
    for primitive in document["meshes"][0]["primitives"]:
        place = primitive["attributes"]["POSITION"]
        positions, told = arrays[place], accessors[place]
        assert np.float32(told["min"]).tolist() == positions.min(axis=0).tolist()
        assert np.float32(told["max"]).tolist() == positions.max(axis=0).tolist()
        assert arrays[primitive["indices"]].max() < len(positions)
    return document, views, arrays


def _view(view: dict[str, Any], binary: bytes) -> bytes:
    start, end = view["byteOffset"], view["byteOffset"] + view["byteLength"]
    assert start % 4 == 0
    assert end <= len(binary)
    return binary[start:end]


def _array(accessor: dict[str, Any], views: list[bytes], told: list[dict[str, Any]]) -> Any:
    kind = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
    view = accessor["bufferView"]
    assert told[view]["target"] == (34963 if width == 1 else 34962)
    values = np.frombuffer(views[view], dtype=kind)
    assert len(values) == accessor["count"] * width
    return values.reshape(-1, width) if width > 1 else values
