"""What the stand-ins share: upstream's options from a table, time that passes, and faults.

Beside a stand-in's script may lie ``fault``, a word of `FAULTS`, and ``seconds.json``, how long it
pretends to import, load and compute.
"""

import argparse
import json
import math
import struct
import sys
import time
import tomllib
from pathlib import Path

HOME = Path(sys.path[0])

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 7.79 GiB of "
    "which 1.06 GiB is free. Including non-PyTorch memory, this process has 6.72 GiB memory in use."
)
GATED = (
    "401 Client Error. (Request ID: Root=1-0000)\n\nCannot access gated repo for url "
    "https://hf.co/{0}/resolve/main/config.yaml.\nAccess to model {0} is restricted. "
    "You must have access to it and be authenticated to access it. Please log in."
)
NOT_THERE = (
    "Cannot find the requested files in the disk cache and outgoing traffic has been disabled. To "
    "enable hf.co look-ups and downloads online, set 'local_files_only' to False."
)


class GatedRepoError(Exception):
    __module__ = "huggingface_hub.errors"


class LocalEntryNotFoundError(Exception):
    __module__ = "huggingface_hub.errors"


def fault() -> str:
    told = HOME / "fault"
    return told.read_text().strip() if told.is_file() else ""


def spend(what: str) -> None:
    told = HOME / "seconds.json"
    if told.is_file():
        time.sleep(json.loads(told.read_text()).get(what, 0))


def parser(table: Path, without=frozenset()) -> argparse.ArgumentParser:
    """As upstream's own, from its table; ``without`` are options that it does not declare now."""
    made = argparse.ArgumentParser()
    modes = (
        made.add_mutually_exclusive_group(required=True) if "threestudio" in str(table) else made
    )
    for told in tomllib.loads(table.read_text())["argument"]:
        names, kind = told.pop("names"), told.pop("type", None)
        if without & set(names):
            continue
        if kind is not None:
            told["type"] = {"int": int, "float": float}[kind]
        (modes if told.pop("group", None) else made).add_argument(*names, **told)
    return made


def fetch_weights(model: str) -> None:
    """As the hub's client: from a folder, or from its cache."""
    spend("load")
    if fault() == "gated":
        raise GatedRepoError(GATED.format(model))
    if fault() == "weights" or model.startswith("nobody/"):
        raise LocalEntryNotFoundError(NOT_THERE)


def revolved(rings: int = 40, sides: int = 48) -> tuple[list, list, list]:
    """A vase as points, places in a picture, and triangles; closed."""
    points, flat, faces = [], [], []
    for ring in range(rings + 1):
        t = ring / rings
        wide = 0.02 + 0.28 * math.sin(math.pi * t) ** 0.6 * (1 + 0.45 * math.cos(5.5 * t + 0.6))
        for side in range(sides + 1):
            turn = 2 * math.pi * (side % sides) / sides
            points.append((wide * math.cos(turn), 0.9 * t - 0.45, wide * math.sin(turn)))
            flat.append((side / sides, 1 - t))
    row = sides + 1
    for ring in range(rings):
        for side in range(sides):
            a, b = ring * row + side, ring * row + side + 1
            faces += [(a, a + row, b), (b, a + row, b + row)]
    for ring, turned in ((0, False), (rings, True)):
        middle = len(points)
        points.append((0.0, points[ring * row][1], 0.0))
        flat.append((0.5, 1 - ring / rings))
        for side in range(sides):
            a, b = ring * row + side, ring * row + side + 1
            faces.append((middle, b, a) if turned else (middle, a, b))
    return points, flat, faces


def write_glb(path, points, faces, flat=None, picture=None, colours=None) -> None:
    """One mesh with a picture or with colours at its points."""
    binary, views, accessors = b"", [], []

    def add(data: bytes, **told) -> int:
        nonlocal binary
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)})
        binary += data + b"\0" * (-len(data) % 4)
        if told:
            accessors.append({"bufferView": len(views) - 1, **told})
        return len(accessors) - 1 if told else len(views) - 1

    def floats(rows) -> bytes:
        return b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)

    count = len(points)
    bounds = {"min": [-1, -1, -1], "max": [1, 1, 1]}
    attributes = {
        "POSITION": add(floats(points), componentType=5126, count=count, type="VEC3", **bounds)
    }
    if flat is not None:
        attributes["TEXCOORD_0"] = add(floats(flat), componentType=5126, count=count, type="VEC2")
    if colours is not None:
        attributes["COLOR_0"] = add(
            bytes(level for row in colours for level in row),
            componentType=5121, count=count, type="VEC4", normalized=True,
        )  # fmt: skip
    numbers = b"".join(struct.pack("<3I", *face) for face in faces)
    indices = add(numbers, componentType=5125, count=3 * len(faces), type="SCALAR")
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices}]}],
    }
    if picture is not None:
        document["meshes"][0]["primitives"][0]["material"] = 0
        document["images"] = [{"bufferView": add(picture), "mimeType": "image/jpeg"}]
        document["textures"] = [{"source": 0}]
        document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    document |= {
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<III", 0x46546C67, 2, total) + struct.pack("<II", len(text), 0x4E4F534A)
    Path(path).write_bytes(head + text + struct.pack("<II", len(binary), 0x004E4942) + binary)


def spoiled(points, faces):
    """As the fault has it."""
    if fault() == "nan":
        points = [
            (math.nan, *point[1:]) if number % 7 == 0 else point
            for number, point in enumerate(points)
        ]
    if fault() == "empty":
        points, faces = points[:3], []
    return points, faces
