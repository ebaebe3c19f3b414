"""Which model makes an avatar, and what happens where the one that was wanted can not."""

from collections.abc import Mapping
from typing import Any, Final

from usina.kernel.platform import Platform

_STUDIO: Final = "avatar-studio-v1"
_PAINTER: Final = "stable-diffusion-img2img"


def commission(platform: Platform, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The model and its parameters: the first that can run, of those that the setting names; where
    none can the first, whose refusal says why.

    A painter with the studio behind it falls back by itself, since whether its server answers only
    shows when it paints. The studio in a painter's place says so, and leaves the prompt.
    """
    named, registry = platform.settings.avatar_engine, platform.registry
    able = [name for name in named if (model := registry.get(name)) and model.available]
    chosen = able[0] if able else named[0]
    if chosen == _PAINTER and _STUDIO in able:
        return chosen, {**params, "fallback": True}
    if chosen == _STUDIO and named[0] != _STUDIO:
        kept = {name: value for name, value in params.items() if name != "prompt"}
        return chosen, {**kept, "in_place_of": named[0]}
    return chosen, dict(params)
