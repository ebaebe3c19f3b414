"""The room's own styles, from a framed photo to an avatar."""

from usina.apps.avatars.frame import Frame
from usina.apps.avatars.matte import Matte, cut_out
from usina.apps.avatars.style.catalogue import apply
from usina.apps.avatars.style.sitter import Sitter
from usina.imaging.array import Bytes
from usina_runner import Job

CUT, DRAWN = 0.65, 0.85
"""The progress of a job when the person is cut out, and when they are drawn."""


def draw(job: Job, frame: Frame, style: str, seed: int) -> tuple[Bytes, Matte]:
    """The avatar ``(s, s, 3)`` and how the person was cut out; the same seed makes the same
    pixels. The job's progress never falls."""
    with job.stage("matte", upto=max(CUT, job.fraction)):
        matte = cut_out(frame)
    with job.stage("style", upto=max(DRAWN, job.fraction)):
        return apply(style, Sitter(frame, matte, seed)), matte
