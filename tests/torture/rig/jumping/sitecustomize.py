"""Sleep for processes whose clock is made to jump.

``time.sleep`` waits for a deadline since Python 3.11, which libfaketime 0.9 shifts by mistake: each
sleep then fails with EINVAL. One that is given a span is left alone.
"""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
