"""What the demo makes: which model, from which picture, and why it is worth seeing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from usina_client import Json


@dataclass(frozen=True, slots=True)
class Piece:
    """One job of the demo; `picture` is a file of scikit-image's data folder."""

    model: str
    picture: str
    about: str
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @property
    def title(self) -> str:
        return f"{self.model} {self.stem}"

    @property
    def stem(self) -> str:
        return Path(self.picture).stem


PIECES: Final = (
    Piece("inflate-v1", "horse.png", "A silhouette, blown up into a body."),
    Piece("inflate-v1", "coffee.png", "An espresso on its saucer, cut out and made round."),
    Piece("inflate-v1", "rocket.jpg", "A rocket on its pad at dusk, found among the masts."),
    Piece("inflate-v1", "astronaut.png", "Eileen Collins as a bust, from one photograph."),
    Piece(
        "relief-v1", "astronaut.png", "The same photograph as a framed relief, ready to be printed."
    ),
    Piece("relief-v1", "chelsea.png", "Chelsea the cat as a framed relief, ready to be printed."),
)


def picture_of(piece: Piece) -> Path:
    """The picture's file, found without loading the library that brings it."""
    spec = find_spec("skimage")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / piece.picture
