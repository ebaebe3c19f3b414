"""The bounds of files that settings move."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class FileLimits:
    """``upload_time`` is how long an upload may take until it is completed."""

    max_upload_bytes: int
    upload_time: timedelta
