"""The velocity as a file for ParaView and its kin: VTK's image data in XML."""

import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from usina.apps.cfd.lattice.answer import Solved
from usina.imaging.array import Anything

VOXELS_MOST: Final = 1_000_000
"""Beyond it every second voxel is left out along each axis, or more."""

_BLOCK: Final = 1 << 20


def write_volume(path: Path, found: Solved) -> None:
    """Per voxel, 32 bits each: ``velocity`` over the superficial velocity, as x, y, z, and
    ``fluid``, 1 or 0. Its origin and spacing are in metres in the tube's own axes."""
    every = 1
    while found.grid.fluid[::every, ::every, ::every].size > VOXELS_MOST:
        every += 1
    fluid = found.grid.fluid[::every, ::every, ::every]
    velocity = found.mobility[:, ::every, ::every, ::every] / found.permeability_m2
    arrays = [
        np.ascontiguousarray(np.moveaxis(velocity, 0, -1), dtype="<f4"),
        fluid.astype(np.uint8),
    ]
    packed = [_packed(array) for array in arrays]
    z, y, x = fluid.shape
    side, step = float(found.grid.across()[0]), found.grid.voxel_m * every
    low = found.grid.low_m + found.grid.voxel_m / 2
    with path.open("wb") as file:
        file.write(
            f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt32" \
compressor="vtkZLibDataCompressor">
<ImageData WholeExtent="0 {x - 1} 0 {y - 1} 0 {z - 1}" Origin="{side!r} {side!r} {low!r}" \
Spacing="{step!r} {step!r} {step!r}">
<Piece Extent="0 {x - 1} 0 {y - 1} 0 {z - 1}"><PointData Vectors="velocity">
<DataArray type="Float32" Name="velocity" NumberOfComponents="3" format="appended" offset="0"/>
<DataArray type="UInt8" Name="fluid" format="appended" offset="{len(packed[0])}"/>
</PointData></Piece></ImageData>
<AppendedData encoding="raw">
_""".encode()
        )
        for each in packed:
            file.write(each)
        file.write(b"\n</AppendedData>\n</VTKFile>\n")


def _packed(array: Anything) -> bytes:
    """As `vtkZLibDataCompressor` reads it: counts, sizes of the packed blocks, the blocks."""
    data = array.tobytes()
    blocks = [zlib.compress(data[at : at + _BLOCK], 6) for at in range(0, len(data), _BLOCK)]
    head = (len(blocks), _BLOCK, len(data) % _BLOCK, *map(len, blocks))
    return struct.pack(f"<{len(head)}I", *head) + b"".join(blocks)
