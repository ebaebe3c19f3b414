"""Decodes every bad picture in a process of its own and prints, one JSON line each, what came of
it, how long it took and how much memory it needed at most."""

import json
import sys
import time
import traceback
from pathlib import Path

from tests.corpus.images import bad_images
from usina.apps.threed.mask import find_mask
from usina.imaging.picture import open_picture
from usina_runner import InvalidInput


def main(folder: Path) -> None:
    for image in bad_images():
        if image.kind == "decode":
            path = folder / image.name
            path.write_bytes(image.data)
            before = memory("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")
            began = time.perf_counter()
            outcome = _outcome(path)
            seconds = time.perf_counter() - began
            taken = memory("VmHWM") - before
            print(json.dumps([image.name, outcome, seconds, taken]), flush=True)  # noqa: T201
            path.unlink()


def _outcome(path: Path) -> str:
    try:
        find_mask(open_picture(path))
    except InvalidInput as refusal:
        return str(refusal.reason) if path.name not in refusal.message else refusal.message
    except BaseException:
        return traceback.format_exc()
    return "accepted"


def memory(field: str) -> int:
    """Bytes, from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
