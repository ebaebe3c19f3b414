"""What a painter is asked for, out of a job's parameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from usina_runner import InvalidInput

STYLES: Final[Mapping[str, str]] = {
    "studio": "professional studio portrait, soft key light, plain grey backdrop, sharp eyes",
    "color": "portrait in front of a plain backdrop of one bright colour, soft even light",
    "high-key": "high-key portrait, white background, bright soft light",
    "classic": "classic black and white portrait photograph, fine film grain",
    "cinematic": "cinematic portrait, teal and orange, shallow depth of field, film still",
    "duotone": "duotone portrait, two flat colours, graphic print",
    "pencil": "detailed pencil drawing of a face, graphite on white paper",
    "ink": "ink drawing of a face, bold black lines on white paper",
    "cartoon": "cartoon character portrait, clean outlines, flat bright colours",
    "oil": "oil painting of a person, visible brush strokes, warm light",
    "watercolor": "watercolor portrait, loose washes on white paper",
    "pop-art": "pop art portrait, flat bold colours, halftone dots",
    "poster": "screen-printed poster portrait, few flat colours",
    "newsprint": "newsprint portrait, coarse black halftone dots on paper",
}
"""The words for each style; their names are those of `usina.apps.avatars.style.catalogue`."""

_SUBJECT: Final = "portrait of one person, head and shoulders"
PLAIN: Final = "studio"


@dataclass(frozen=True, slots=True)
class Order:
    """``strength`` is how much of the photo is painted over (0 to 1), ``side`` the width and height
    at which the model paints in pixels; None leaves it to the engine."""

    prompt: str
    negative_prompt: str
    strength: float
    guidance_scale: float
    steps: int
    seed: int
    side: int | None

    @property
    def rounds(self) -> int:
        """How many steps the model takes over the whole of the noise, so that at this strength at
        least one is really taken."""
        return max(self.steps, math.ceil(1 / self.strength))


def read_order(params: Mapping[str, Any]) -> Order:
    """The order of a job; raises ``InvalidInput`` for a prompt without words."""
    return Order(
        prompt=_prompt(params.get("prompt"), params.get("style")),
        negative_prompt=params["negative_prompt"].strip(),
        strength=float(params["strength"]),
        guidance_scale=float(params["guidance_scale"]),
        steps=params["steps"],
        seed=params["seed"],
        side=params.get("paint_size"),
    )


def _prompt(prompt: str | None, style: str | None) -> str:
    """The caller's words, then those of the style; a studio portrait where neither is told."""
    if prompt is None:
        return f"{_SUBJECT}, {STYLES[style or PLAIN]}"
    words = " ".join(prompt.split())
    if not words:
        raise InvalidInput(
            "prompt_empty", "The prompt has no words; say what to paint, or choose a style."
        )
    return words if style is None else f"{words}, {STYLES[style]}"
