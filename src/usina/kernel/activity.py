"""How much a process is asked for right now, so that an idle platform knows that it is idle."""

import asyncio


class Activity:
    """Entered by whoever serves somebody: ``open`` are there, ``last`` is when one left (loop
    time)."""

    def __init__(self) -> None:
        self.open = 0
        self.last = 0.0

    def __enter__(self) -> None:
        self.open += 1

    def __exit__(self, *_: object) -> None:
        self.open -= 1
        self.last = asyncio.get_running_loop().time()
