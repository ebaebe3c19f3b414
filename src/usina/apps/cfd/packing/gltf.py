"""A bed as one small binary glTF 2.0 file: one surface that every particle's node shares."""

import json
import struct
from typing import Any, Final

import numpy as np

from usina.apps.cfd.packing.colour import PALETTE, linear, shades
from usina.apps.cfd.particles import Particles
from usina.apps.cfd.surface import COARSE, particle_surface
from usina.imaging.array import Anything, Field, Indices

_MAGIC, _JSON, _BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _SHORT = 5126, 5123
_VERTICES, _INDICES = 34962, 34963
_UPRIGHT: Final = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]
"""glTF's up is y; the bed's is z."""

_SIDES = 64
_GLASS: Final = {
    "name": "glass",
    "alphaMode": "BLEND",
    "doubleSided": True,
    "pbrMetallicRoughness": {
        "baseColorFactor": [0.75, 0.88, 0.95, 0.16],
        "metallicFactor": 0.0,
        "roughnessFactor": 0.05,
    },
}


def to_glb(particles: Particles, diameter_m: float, height_m: float) -> bytes:
    """The particles, in the colours of the picture, inside of a glass tube. The same bed gives the
    same bytes."""
    body = _Body()
    surface = particle_surface(particles.shape, COARSE)
    smooth = particles.shape.kind == "sphere"
    attributes, indices = body.add(*_shaded(surface.points, surface.faces, smooth=smooth))
    meshes = [
        _mesh(f"particle {number}", attributes, indices, number) for number in range(len(PALETTE))
    ]
    attributes, indices = body.add(*_tube(diameter_m / 2, height_m))
    meshes.append(_mesh("tube", attributes, indices, len(PALETTE)))
    nodes = [*_placed(particles), {"mesh": len(PALETTE), "name": "tube"}]
    nodes.append({"name": "bed", "rotation": _UPRIGHT, "children": [*range(len(nodes))]})
    document = {
        "asset": {"version": "2.0", "generator": "Usina"},
        "scene": 0,
        "scenes": [{"nodes": [len(nodes) - 1]}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [*map(_matter, range(len(PALETTE))), _GLASS],
        **body.described(),
    }
    return _pack(document, body.bytes())


class _Body:
    """What the file holds besides its description."""

    def __init__(self) -> None:
        self._accessors: list[dict[str, Any]] = []
        self._views: list[dict[str, int]] = []
        self._parts: list[bytes] = []

    def add(self, points: Field, normals: Field, faces: Indices) -> tuple[dict[str, int], int]:
        """The accessors of a surface: its attributes, and its indices."""
        written = points.astype("<f4")
        bounds = {"min": written.min(axis=0).tolist(), "max": written.max(axis=0).tolist()}
        attributes = {
            "POSITION": self._accessor(written, "VEC3", _FLOAT, _VERTICES, bounds),
            "NORMAL": self._accessor(normals.astype("<f4"), "VEC3", _FLOAT, _VERTICES, {}),
        }
        flat = faces.ravel().astype("<u2")
        return attributes, self._accessor(flat, "SCALAR", _SHORT, _INDICES, {})

    def described(self) -> dict[str, Any]:
        return {
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self.bytes())}],
        }

    def bytes(self) -> bytes:
        return b"".join(self._parts)

    def _accessor(
        self, values: Anything, kind: str, component: int, target: int, bounds: dict[str, Any]
    ) -> int:
        part = values.tobytes()
        place = len(self.bytes())
        self._views.append(
            {"buffer": 0, "byteOffset": place, "byteLength": len(part), "target": target}
        )
        self._parts.append(part.ljust(-(-len(part) // 4) * 4, b"\0"))
        self._accessors.append(
            {
                "bufferView": len(self._views) - 1,
                "componentType": component,
                "count": len(values),
                "type": kind,
                **bounds,
            }
        )
        return len(self._accessors) - 1


def _placed(particles: Particles) -> list[dict[str, Any]]:
    """A node for each particle."""
    turned = particles.shape.kind != "sphere"
    nodes: list[dict[str, Any]] = []
    rows = zip(
        particles.centres.tolist(),
        particles.quaternions.tolist(),
        shades(particles).tolist(),
        strict=True,
    )
    for centre, (w, *xyz), shade in rows:
        node: dict[str, Any] = {"mesh": shade, "translation": [_short(part) for part in centre]}
        if turned:
            node["rotation"] = [*(_short(part) for part in xyz), _short(w)]
        nodes.append(node)
    return nodes


def _short(value: float) -> float:
    """To seven digits, which is what glTF's own numbers have."""
    return float(f"{value:.7g}")


def _mesh(name: str, attributes: dict[str, int], indices: int, material: int) -> dict[str, Any]:
    primitive = {"attributes": attributes, "indices": indices, "material": material}
    return {"name": name, "primitives": [primitive]}


def _matter(number: int) -> dict[str, Any]:
    surface = {
        "baseColorFactor": [*(round(float(level), 5) for level in linear(PALETTE[number])), 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": 0.35,
    }
    return {"name": f"shade {number}", "pbrMetallicRoughness": surface}


def _shaded(points: Field, faces: Indices, *, smooth: bool) -> tuple[Field, Field, Indices]:
    """Points, normals and faces: rounded like a ball, or with every triangle flat."""
    if smooth:
        return points, points / np.linalg.norm(points, axis=1, keepdims=True), faces
    corners = points[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    flat = np.arange(3 * len(faces)).reshape(-1, 3)
    return corners.reshape(-1, 3), np.repeat(across, 3, axis=0), flat


def _tube(radius: float, height: float) -> tuple[Field, Field, Indices]:
    """An open cylinder."""
    turn = np.arange(_SIDES) * 2 * np.pi / _SIDES
    out = np.column_stack([np.cos(turn), np.sin(turn), np.zeros(_SIDES)])
    low = out * radius
    points = np.concatenate([low, low + np.array([0.0, 0.0, height])])
    here = np.arange(_SIDES)
    after = (here + 1) % _SIDES
    faces = np.concatenate(
        [
            np.stack([here, after, after + _SIDES], axis=1),
            np.stack([here, after + _SIDES, here + _SIDES], axis=1),
        ]
    )
    return points, np.concatenate([out, out]), faces


def _pack(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 4) * 4, b" ")
    total = 12 + 8 + len(text) + 8 + len(binary)
    chunks = (struct.pack("<II", len(text), _JSON), text)
    return b"".join(
        (
            struct.pack("<III", _MAGIC, 2, total),
            *chunks,
            struct.pack("<II", len(binary), _BINARY),
            binary,
        )
    )
