"""Writing a surface as one binary glTF 2.0 file (ISO/IEC 12113).

Written here because a texture is embedded as the JPEG that we encode; a general exporter encodes
it once more at a quality of its own.
"""

import json
import struct
from typing import Any

from usina.apps.threed.finish import Finish
from usina.apps.threed.painted import Painted
from usina.apps.threed.shade import to_linear
from usina.apps.threed.surface import Coloured, Surface
from usina.imaging.array import Anything, Field, Field32, Indices

ROUGHNESS = 0.8

_MAGIC, _JSON, _BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _SHORT, _INT = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _MIPMAPS, _CLAMP = 9729, 9987, 33071


def to_glb(surface: Surface, jpeg: bytes, name: str) -> bytes:
    """The whole file; ``jpeg`` is the encoded texture. The same surface gives the same bytes."""
    file = _File()
    attributes = {
        "POSITION": file.add_positions(surface.points),
        "NORMAL": file.add_vectors(surface.normals),
        "TEXCOORD_0": file.add_vectors(surface.uv),
    }
    indices = file.add_indices(surface.faces, len(surface.points))
    primitive = {"attributes": attributes, "indices": indices, "material": 0}
    return file.packed(name, [primitive], _textured(name, file.add_bytes(jpeg)))


def to_coloured_glb(coloured: Coloured, name: str) -> bytes:
    """The whole file, with a colour at each point, in linear light as glTF asks."""
    file = _File()
    light = to_linear(coloured.colours)
    attributes = {
        "POSITION": file.add_positions(coloured.points),
        "NORMAL": file.add_vectors(coloured.normals),
        "COLOR_0": file.add_vectors(light),
    }
    indices = file.add_indices(coloured.faces, len(coloured.points))
    primitive = {"attributes": attributes, "indices": indices, "material": 0}
    plain = {
        "name": name,
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS},
    }
    return file.packed(name, [primitive], {"materials": [plain]})


def to_painted_glb(painted: Painted, name: str) -> bytes:
    """The whole file, with a primitive and a material for each finish."""
    file = _File()
    attributes = {
        "POSITION": file.add_positions(painted.points),
        "NORMAL": file.add_vectors(painted.normals),
    }
    primitives = [
        {
            "attributes": attributes,
            "indices": file.add_indices(painted.of_finish(number), len(painted.points)),
            "material": number,
        }
        for number in range(len(painted.finishes))
    ]
    materials = [_plain(finish) for finish in painted.finishes]
    return file.packed(name, primitives, {"materials": materials})


class _File:
    """Accessors, the views of the buffer that they read, and the buffer's bytes."""

    def __init__(self) -> None:
        self._accessors: list[dict[str, Any]] = []
        self._views: list[dict[str, int]] = []
        self._parts: list[bytes] = []
        self._offset = 0

    def add_positions(self, points: Field) -> int:
        """Its accessor tells the bounds, as glTF asks for."""
        written = points.astype("<f4")
        bounds = {
            "min": [float(value) for value in written.min(axis=0)],
            "max": [float(value) for value in written.max(axis=0)],
        }
        return self._add_array(written, _FLOAT, "VEC3", _VERTICES, bounds)

    def add_vectors(self, values: Field | Field32) -> int:
        kind = f"VEC{values.shape[1]}"
        return self._add_array(values.astype("<f4"), _FLOAT, kind, _VERTICES)

    def add_indices(self, faces: Indices, points: int) -> int:
        """Of triangles among so many ``points``."""
        wide = points > 65_535
        written = faces.ravel().astype("<u4" if wide else "<u2")
        return self._add_array(written, _INT if wide else _SHORT, "SCALAR", _INDICES)

    def add_bytes(self, part: bytes, target: int | None = None) -> int:
        """The number of its view."""
        view = {"buffer": 0, "byteOffset": self._offset, "byteLength": len(part)}
        self._views.append(view | ({"target": target} if target else {}))
        self._parts.append(part.ljust(_padded(len(part)), b"\0"))
        self._offset += _padded(len(part))
        return len(self._views) - 1

    def packed(
        self, name: str, primitives: list[dict[str, Any]], appearance: dict[str, Any]
    ) -> bytes:
        """One node with one mesh."""
        document = {
            "asset": {"version": "2.0", "generator": "Usina"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0, "name": name}],
            "meshes": [{"name": name, "primitives": primitives}],
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": self._offset}],
            **appearance,
        }
        return _pack(document, b"".join(self._parts))

    def _add_array(
        self,
        values: Anything,
        component: int,
        kind: str,
        target: int,
        bounds: dict[str, list[float]] | None = None,
    ) -> int:
        accessor = {
            "bufferView": self.add_bytes(values.tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        self._accessors.append(accessor | (bounds or {}))
        return len(self._accessors) - 1


def _textured(name: str, view: int) -> dict[str, Any]:
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
        "images": [{"name": name, "bufferView": view, "mimeType": "image/jpeg"}],
    }


def _plain(finish: Finish) -> dict[str, Any]:
    surface = {
        "baseColorFactor": [*(round(level, 6) for level in finish.linear()), finish.opacity],
        "metallicFactor": finish.metallic,
        "roughnessFactor": finish.roughness,
    }
    blended = {"alphaMode": "BLEND"} if finish.opacity < 1 else {}
    return {"name": finish.name, "pbrMetallicRoughness": surface, **blended}


def _padded(length: int) -> int:
    return -(-length // 4) * 4


def _pack(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text = text.ljust(_padded(len(text)), b" ")
    total = 12 + 8 + len(text) + 8 + len(binary)
    header = struct.pack("<III", _MAGIC, 2, total)
    chunks = (struct.pack("<II", len(text), _JSON), text)
    return b"".join((header, *chunks, struct.pack("<II", len(binary), _BINARY), binary))
