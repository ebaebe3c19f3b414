"""The one door out for what foreign models made: judged, drawn and told alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from PIL import Image

from usina.apps.threed.foreign.received import Received, checked
from usina.apps.threed.mesh import Measures, measure
from usina.apps.threed.preview import ROUND, draw_preview
from usina.apps.threed.studio import set_up
from usina.imaging.array import Field
from usina.imaging.notice import Notice
from usina.imaging.opencv import set_threads
from usina_runner import Job

Turn = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

AS_IT_IS: Final[Turn] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
HALF_ROUND: Final[Turn] = ((-1, 0, 0), (0, 1, 0), (0, 0, -1))
"""The front of what looks towards -z."""

Z_UP_X_FRONT: Final[Turn] = ((0, 1, 0), (0, 0, 1), (1, 0, 0))
"""From z up and the front towards +x, to glTF's y up and the front towards +z."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a program made, and what was found of it: ``front`` turns it so that its front shows in
    the picture; ``facts`` and ``notices`` go into the report."""

    received: Received
    found: Measures
    largest_piece_share: float
    front: Turn = AS_IT_IS
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notices: Sequence[Notice] = ()


def judge(job: Job, received: Received) -> Made:
    """What may be believed of it, told as metrics that gates look at; raises `Failure`."""
    with job.stage("judge"):
        sound = checked(received)
        found, share = measure(sound.points, sound.faces), round(sound.largest_piece_share(), 4)
        job.metric("watertight", found.watertight)
        job.metric("faces", found.faces)
        job.metric("largest_piece_share", share)
    return Made(sound, found, share)


def show(job: Job, made: Made, upto: float) -> None:
    """``preview.png``, of what was judged."""
    begun = job.fraction
    set_threads(job.cores)
    with job.stage("preview", upto=upto):
        turn = np.array(made.front, dtype=np.float64)
        studio = set_up(made.received.turned(turn).as_surface())
        drawn = draw_preview(
            studio, ROUND, between=lambda share: job.progress(begun + (upto - begun) * share)
        )
        Image.fromarray(drawn).save(job.outputs / "preview.png", compress_level=2)
        job.artifact("preview.png", "preview")


def tell(job: Job, made: Made) -> None:
    """``report.json``; lengths are in the unit of the file, which no model knows the size of."""
    job.report(
        {
            "vertices": made.found.vertices,
            "faces": made.found.faces,
            "watertight": made.found.watertight,
            "largest_piece_share": made.largest_piece_share,
            "bounds": _plain(made.found.bounds),
            "textured": made.received.texture is not None,
            **made.facts,
            "warnings": [notice.as_json() for notice in made.notices],
        }
    )


def _plain(bounds: Field) -> list[list[float]]:
    return bounds.round(6).tolist()
