"""What SPAR3D cuts objects out with: what is like the corner of the picture goes."""

import os
from pathlib import Path

import rembg


class Remover:
    def __init__(self, device, ckpt=None):
        home = Path(os.environ.get("TRANSPARENT_BACKGROUND_FILE_PATH", Path.home()))
        kept = home / ".transparent-background"
        kept.mkdir(exist_ok=True)
        if not (kept / "config.yaml").exists():
            (kept / "config.yaml").write_text("base:\n")
        if not Path(ckpt or kept / "ckpt_base.pth").is_file():
            raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")

    def process(self, image):
        return rembg.remove(image)
