"""A model that says its words one by one."""

import os
import sys
import time

from cog import BasePredictor, ConcatenateIterator, Input


class Predictor(BasePredictor):
    def predict(
        self,
        words: str = Input(description="What to say.", default="one two three"),
        delay: float = Input(default=0.0),
        until: str = Input(description="Halfway, wait for this file.", default=""),
    ) -> ConcatenateIterator[str]:
        said = words.split()
        for number, word in enumerate(said, 1):
            time.sleep(delay)
            print(f"{100 * number // len(said)}%|###   | {number}/{len(said)}", file=sys.stderr)
            yield word + " "
            while until and number == len(said) // 2 and not os.path.exists(until):
                print("waiting", file=sys.stderr)
                time.sleep(0.1)
