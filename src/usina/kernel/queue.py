"""The queues that there are."""

from typing import Final

QUEUES: Final = ("default", "gpu", "io")
