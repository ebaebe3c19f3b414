"""Makes an avatar of every bad and odd picture in a process of its own; prints, one JSON line
each, what came of it, how long it took and how much memory it needed at most."""

import json
import sys
import time
import traceback
from pathlib import Path

from tests.avatars.program import finder
from tests.corpus.images import bad_images, odd_images
from tests.threed.hostile import memory
from usina.apps.avatars.frame import frame_face
from usina.apps.avatars.intake import take_in
from usina.apps.avatars.matte import cut_out
from usina.apps.avatars.style.catalogue import apply
from usina.apps.avatars.style.sitter import Sitter
from usina_runner import InvalidInput


def main(folder: Path) -> None:
    finder()
    bad = [(image.name, image.data) for image in bad_images() if image.kind == "decode"]
    for name, data in [*bad, *((image.name, image.data) for image in odd_images())]:
        path = folder / "photo"
        path.write_bytes(data)
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        began = time.process_time()
        outcome = _outcome(path)
        seconds = time.process_time() - began
        print(json.dumps([name, outcome, seconds, memory("VmHWM") - before]), flush=True)  # noqa: T201


def _outcome(path: Path) -> str:
    try:
        photo = take_in(path, finder())
        frame = frame_face(photo.rgb, photo.faces[0] if photo.faces else None, 512)
        apply("studio", Sitter(frame, cut_out(frame), 0))
    except InvalidInput as refusal:
        return str(refusal.reason)
    except BaseException:
        return traceback.format_exc()
    return "accepted"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
