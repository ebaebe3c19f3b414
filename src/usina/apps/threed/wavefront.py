"""Writing a surface as OBJ and MTL in one ZIP, for programs that do not read glTF."""

import io
import zipfile

from usina.apps.threed.finish import Finish
from usina.apps.threed.painted import Painted
from usina.apps.threed.printing.pose import MILLIMETRES
from usina.apps.threed.surface import Surface
from usina.imaging.array import Field, Indices

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP can hold, so that the same surface gives the same bytes."""

_HEAD = ("# lengths in millimetres, y up\n", "mtllib mesh.mtl\n", "o mesh\n")
_MATERIAL = """\
newmtl surface
Ka 1 1 1
Kd 1 1 1
Ks 0 0 0
illum 1
map_Kd texture.jpg
"""


def to_zip(surface: Surface, jpeg: bytes) -> bytes:
    """``mesh.obj``, ``mesh.mtl`` and ``texture.jpg``; lengths in millimetres, which is what
    slicers take them for."""
    return _archive(
        {"mesh.obj": _object(surface).encode(), "mesh.mtl": _MATERIAL.encode(), "texture.jpg": jpeg}
    )


def to_painted_zip(painted: Painted) -> bytes:
    """``mesh.obj`` and ``mesh.mtl`` with a material for each finish; lengths in millimetres."""
    materials = "\n".join(_plain(finish) for finish in painted.finishes)
    return _archive({"mesh.obj": _painted_object(painted).encode(), "mesh.mtl": materials.encode()})


def _archive(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            _add(archive, name, content)
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
    return "".join(
        (
            *_HEAD,
            "usemtl surface\n",
            _rows("v", surface.points * MILLIMETRES, 5),
            _rows("vt", flipped, 6),
            _rows("vn", surface.normals, 4),
            _faces(surface.faces, "/{0}/{0}"),
        )
    )


def _painted_object(painted: Painted) -> str:
    blocks = [*_HEAD, _rows("v", painted.points * MILLIMETRES, 5), _rows("vn", painted.normals, 4)]
    for number, finish in enumerate(painted.finishes):
        blocks += (f"usemtl {_word(finish)}\n", _faces(painted.of_finish(number), "//{0}"))
    return "".join(blocks)


def _plain(finish: Finish) -> str:
    """With the extension of Pr and Pm, roughness and metalness."""
    red, green, blue = (level / 255 for level in finish.rgb)
    return (
        f"newmtl {_word(finish)}\n"
        f"Kd {red:.4f} {green:.4f} {blue:.4f}\n"
        f"Ks 0 0 0\nillum 1\nd {finish.opacity:g}\n"
        f"Pr {finish.roughness:g}\nPm {finish.metallic:g}\n"
    )


def _word(finish: Finish) -> str:
    return finish.name.replace(" ", "_").replace("#", "")


def _rows(word: str, values: Field, digits: int) -> str:
    """A line for each row of values."""
    row = " ".join([word, *[f"%.{digits}f"] * values.shape[1]]) + "\n"
    return row * len(values) % tuple(values.ravel().tolist())


def _faces(faces: Indices, rest: str) -> str:
    """A line for each face; ``rest`` is what of a corner follows its point, which has the same
    number as its texture and normal."""
    corners = [f"{number}{rest.format(number)}" for number in range(1, int(faces.max()) + 2)]
    row = "f %s %s %s\n"
    return row * len(faces) % tuple(corners[number] for number in faces.ravel().tolist())
