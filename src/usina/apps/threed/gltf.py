"""Writing a surface as one binary glTF 2.0 file (ISO/IEC 12113).

Written here because the texture is embedded as the JPEG that we encode; a general exporter encodes
it once more at a quality of its own.
"""

import json
import struct
from typing import Any

from usina.apps.threed.array import Anything
from usina.apps.threed.surface import Surface

ROUGHNESS = 0.8

_MAGIC, _JSON, _BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _SHORT, _INT = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _MIPMAPS, _CLAMP = 9729, 9987, 33071


def to_glb(surface: Surface, jpeg: bytes, name: str) -> bytes:
    """The whole file; ``jpeg`` is the encoded texture. The same surface gives the same bytes."""
    positions = surface.points.astype("<f4")
    wide = len(positions) > 65_535
    indices = surface.faces.ravel().astype("<u4" if wide else "<u2")
    parts = [
        positions.tobytes(),
        surface.normals.astype("<f4").tobytes(),
        surface.uv.astype("<f4").tobytes(),
        indices.tobytes(),
        jpeg,
    ]
    document = {
        "asset": {"version": "2.0", "generator": "Usina"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name}],
        "meshes": [{"name": name, "primitives": [_primitive()]}],
        "accessors": _accessors(positions, len(indices), _INT if wide else _SHORT),
        "bufferViews": _views(parts),
        "buffers": [{"byteLength": sum(_padded(len(part)) for part in parts)}],
        **_material(name),
    }
    return _pack(document, b"".join(part.ljust(_padded(len(part)), b"\0") for part in parts))


def _primitive() -> dict[str, Any]:
    attributes = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}
    return {"attributes": attributes, "indices": 3, "material": 0}


def _accessors(positions: Anything, corners: int, index_type: int) -> list[dict[str, Any]]:
    count = len(positions)
    return [
        {
            "bufferView": 0,
            "componentType": _FLOAT,
            "count": count,
            "type": "VEC3",
            "min": [float(value) for value in positions.min(axis=0)],
            "max": [float(value) for value in positions.max(axis=0)],
        },
        {"bufferView": 1, "componentType": _FLOAT, "count": count, "type": "VEC3"},
        {"bufferView": 2, "componentType": _FLOAT, "count": count, "type": "VEC2"},
        {"bufferView": 3, "componentType": index_type, "count": corners, "type": "SCALAR"},
    ]


def _views(parts: list[bytes]) -> list[dict[str, int]]:
    views: list[dict[str, int]] = []
    offset = 0
    for part, target in zip(parts, (_VERTICES, _VERTICES, _VERTICES, _INDICES, 0), strict=True):
        view = {"buffer": 0, "byteOffset": offset, "byteLength": len(part)}
        views.append(view | {"target": target} if target else view)
        offset += _padded(len(part))
    return views


def _material(name: str) -> dict[str, Any]:
    surface = {
        "baseColorTexture": {"index": 0},
        "metallicFactor": 0.0,
        "roughnessFactor": ROUGHNESS,
    }
    return {
        "materials": [{"name": name, "pbrMetallicRoughness": surface}],
        "textures": [{"sampler": 0, "source": 0}],
        "samplers": [
            {"magFilter": _LINEAR, "minFilter": _MIPMAPS, "wrapS": _CLAMP, "wrapT": _CLAMP}
        ],
        "images": [{"name": name, "bufferView": 4, "mimeType": "image/jpeg"}],
    }


def _padded(length: int) -> int:
    return -(-length // 4) * 4


def _pack(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text = text.ljust(_padded(len(text)), b" ")
    total = 12 + 8 + len(text) + 8 + len(binary)
    header = struct.pack("<III", _MAGIC, 2, total)
    chunks = (struct.pack("<II", len(text), _JSON), text)
    return b"".join((header, *chunks, struct.pack("<II", len(binary), _BINARY), binary))
