"""A model that gives a picture back, twice, as slowly as it is asked to."""

import os
import sys
import tempfile
import time

from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def setup(self):
        print("ready to look")

    def predict(
        self,
        image: Path = Input(description="What to look at."),
        mask: Path = Input(description="Where to look.", default=None),
        steps: int = Input(description="How many looks.", default=2, ge=1, le=500),
        style: str = Input(description="How to look.", default="plain", choices=["plain", "loud"]),
        scale: float = Input(default=1.5, ge=0, le=4),
        delay: float = Input(default=0.0),
        fail: str = Input(default=""),
        until: str = Input(description="Halfway, wait for this file.", default=""),
    ) -> list[Path]:
        for step in range(1, steps + 1):
            print(f"{100 * step // steps}%|###   | {step}/{steps} [00:00<00:00]", file=sys.stderr)
            time.sleep(delay)
            while until and step == (steps + 1) // 2 and not os.path.exists(until):
                print("waiting", file=sys.stderr)
                time.sleep(0.1)
        with open("made", "a") as made:
            made.write(f"{scale}\n")
        if fail:
            raise ValueError(fail)
        made = []
        for _ in range(2):
            path = tempfile.mktemp(suffix=".png")
            with open(image, "rb") as given, open(path, "wb") as written:
                written.write(given.read())
            made.append(Path(path))
        return made
