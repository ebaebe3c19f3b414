"""Writing a surface as OBJ, MTL and texture in one ZIP, for programs that do not read glTF."""

import io
import zipfile
from collections.abc import Iterable

from usina.apps.threed.array import Field, Indices
from usina.apps.threed.printing.pose import MILLIMETRES
from usina.apps.threed.surface import Surface

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP can hold, so that the same surface gives the same bytes."""

_MATERIAL = """\
newmtl surface
Ka 1 1 1
Kd 1 1 1
Ks 0 0 0
illum 1
map_Kd texture.jpg
"""


def to_zip(surface: Surface, jpeg: bytes) -> bytes:
    """``mesh.obj``, ``mesh.mtl`` and ``texture.jpg``; lengths in millimetres, which
    is what slicers take them for."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        _add(archive, "mesh.obj", _object(surface).encode())
        _add(archive, "mesh.mtl", _MATERIAL.encode())
        _add(archive, "texture.jpg", jpeg)
    return file.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.external_attr = 0o644 << 16
    plain = name.endswith(".jpg")
    entry.compress_type = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, compresslevel=4)


def _object(surface: Surface) -> str:
    """OBJ counts from 1, and its texture from the lower left corner."""
    flipped = surface.uv * [1, -1] + [0, 1]
    lines = ["# lengths in millimetres, y up", "mtllib mesh.mtl", "o mesh", "usemtl surface"]
    lines += _rows("v", surface.points * MILLIMETRES, 5)
    lines += _rows("vt", flipped, 6)
    lines += _rows("vn", surface.normals, 4)
    lines += _faces(surface.faces + 1)
    return "\n".join(lines) + "\n"


def _rows(word: str, values: Field, digits: int) -> Iterable[str]:
    form = " ".join([word, *[f"%.{digits}f"] * values.shape[1]])
    return (form % tuple(row) for row in values.tolist())


def _faces(faces: Indices) -> Iterable[str]:
    return (f"f {a}/{a}/{a} {b}/{b}/{b} {c}/{c}/{c}" for a, b, c in faces.tolist())
