"""Every style on one sheet, beside the photo it was made from:

python -m usina.apps.avatars.sheet PHOTO SHEET.webp
"""

import sys
from pathlib import Path

from PIL import Image

from usina.apps.avatars.face import FaceFinder
from usina.apps.avatars.frame import frame_face
from usina.apps.avatars.intake import take_in
from usina.apps.avatars.matte import cut_out
from usina.apps.avatars.style.catalogue import STYLES, apply
from usina.apps.avatars.style.sitter import Sitter

_TILE, _GAP, _COLUMNS, _SIZE = 248, 8, 5, 512


def draw_sheet(photo_file: Path) -> Image.Image:
    """The framed photo, then the styles in their order, five a row."""
    photo = take_in(photo_file, FaceFinder())
    frame = frame_face(photo.rgb, photo.faces[0] if photo.faces else None, _SIZE)
    matte = cut_out(frame)
    tiles = [frame.rgb, *(apply(style, Sitter(frame, matte, 0)) for style in STYLES)]
    step = _TILE + _GAP
    rows = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * step - _GAP, rows * step - _GAP), "white")
    for number, tile in enumerate(tiles):
        small = Image.fromarray(tile).resize((_TILE, _TILE), Image.Resampling.LANCZOS)
        sheet.paste(small, (number % _COLUMNS * step, number // _COLUMNS * step))
    return sheet


if __name__ == "__main__":
    draw_sheet(Path(sys.argv[1])).save(sys.argv[2], quality=82, method=6)
