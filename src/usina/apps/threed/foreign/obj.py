"""Reading an OBJ file with its material's picture, as another program wrote them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from usina.apps.threed.foreign.received import Received, unreadable
from usina.imaging.array import Bytes, Field, Indices

_MAX_TEXELS: Final = 8192 * 8192
_BESIDE: Final = "texture.png"
_PICTURE: Final = re.compile(r"^\s*map_Kd\s+(?:.*\s)?([^\s/\\]+)\s*$", re.MULTILINE)
_LIBRARY: Final = re.compile(r"^\s*mtllib\s+(?:.*/)?([^\s/\\]+)\s*$", re.MULTILINE)


def read_obj(path: Path) -> Received:
    """Its triangles, with the picture of its first material or the colours at its points; faces of
    more corners are cut into triangles. Raises `usina_runner.Failure`."""
    try:
        return _read(path)
    except (
        *(IndexError, ValueError, OverflowError, SyntaxError, OSError),
        Image.DecompressionBombError,
    ) as error:
        raise unreadable(f"{type(error).__name__} {error}") from None


def _read(path: Path) -> Received:
    text = path.read_text("utf-8", "replace")
    rows: dict[str, list[list[str]]] = {"v": [], "vt": [], "f": []}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word in rows:
            rows[word].append(rest.split())
    points = _numbers([row[:3] for row in rows["v"]], 3)
    coloured = bool(rows["v"]) and all(len(row) >= 6 for row in rows["v"])
    colours = _numbers([row[3:6] for row in rows["v"]], 3) if coloured else None
    corners = [
        corner
        for row in rows["f"]
        for place in range(1, len(row) - 1)
        for corner in (row[0], row[place], row[place + 1])
    ]
    at = _places([corner.split("/")[0] for corner in corners], len(points))
    if not rows["vt"] or not all("/" in corner for corner in corners):
        shown = None if colours is None else _level(colours)
        return Received(points, at.reshape(-1, 3), colours=shown)
    flat = _numbers([row[:2] for row in rows["vt"]], 2)
    worn = _places([corner.split("/")[1] for corner in corners], len(flat))
    picture = _picture(path, text)
    return _seamed(points, flat, at, worn, picture)


def _seamed(
    points: Field, flat: Field, at: Indices, worn: Indices, picture: Bytes | None
) -> Received:
    """A point for every pair of a place and a place in the picture."""
    pairs, index = np.unique(np.column_stack([at, worn]), axis=0, return_inverse=True)
    uv = flat[pairs[:, 1]] * [1, -1] + [0, 1]
    faces = index.ravel().astype(np.int64).reshape(-1, 3)
    if picture is None:
        return Received(points[pairs[:, 0]], faces)
    return Received(points[pairs[:, 0]], faces, uv=np.clip(uv, 0, 1), texture=picture)


def _picture(path: Path, text: str) -> Bytes | None:
    """What the material library names, from the file's own folder and nowhere else; without a
    library the ``texture.png`` that lies there."""
    library = _LIBRARY.search(text)
    if library is None and (path.parent / _BESIDE).is_file():
        return read_picture(path.parent / _BESIDE)
    if library is None or not (path.parent / library[1]).is_file():
        return None
    named = _PICTURE.search((path.parent / library[1]).read_text("utf-8", "replace"))
    if named is None or not (path.parent / named[1]).is_file():
        return None
    return read_picture(path.parent / named[1])


def read_picture(path: Path) -> Bytes:
    """``(h, w, 3)``; raises ``ValueError`` or ``OSError``."""
    with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
        if image.width * image.height > _MAX_TEXELS:
            raise ValueError(f"a texture of {image.width} x {image.height} pixels")
        return np.ascontiguousarray(np.asarray(image.convert("RGB")))


def _places(words: Sequence[str], count: int) -> Indices:
    """OBJ counts from 1, and from -1 backwards from the last."""
    told = np.array([int(word) for word in words], dtype=np.int64)
    places = np.where(told < 0, told + count, told - 1)
    if len(places) and (places.min() < 0 or places.max() >= count):
        raise ValueError("a triangle names a point that is not there")
    return places


def _numbers(rows: Sequence[Sequence[str]], width: int) -> Field:
    return np.array([[float(word) for word in row] for row in rows], dtype=np.float64).reshape(
        -1, width
    )


def _level(values: Field) -> Bytes:
    return (np.clip(np.nan_to_num(values), 0, 1) * 255 + 0.5).astype(np.uint8)
