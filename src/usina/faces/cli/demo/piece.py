"""What the demo makes: which model, from which picture or words, and why it is worth seeing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from usina_client import Json


@dataclass(frozen=True, slots=True)
class Piece:
    """One job of the demo; `picture` is a file of scikit-image's data folder, which the model takes
    as its `input`, none where it takes words alone. One `made_of` another piece, by its title,
    takes that one's artifact `part` instead. `name` is what it is called where the picture's own is
    not enough."""

    model: str
    picture: str | None
    about: str
    params: Mapping[str, Json] = field(default_factory=dict[str, Json])
    name: str = ""
    input: str = "image"
    made_of: str = ""
    part: str = ""

    @property
    def title(self) -> str:
        return f"{self.model} {self.stem}"

    @property
    def stem(self) -> str:
        return self.name or Path(self.picture or "").stem


PIECES: Final = (
    Piece("inflate-v1", "horse.png", "A silhouette, blown up into a body."),
    Piece("inflate-v1", "coffee.png", "An espresso on its saucer, cut out and made round."),
    Piece("inflate-v1", "rocket.jpg", "A rocket on its pad at dusk, found among the masts."),
    Piece("inflate-v1", "astronaut.png", "Eileen Collins as a bust, from one photograph."),
    Piece(
        "relief-v1", "astronaut.png", "The same photograph as a framed relief, ready to be printed."
    ),
    Piece("relief-v1", "chelsea.png", "Chelsea the cat as a framed relief, ready to be printed."),
    *(
        Piece("avatar-studio-v1", "astronaut.png", about, {"style": style}, style, "photo")
        for style, about in (
            ("studio", "The photograph once more, as a portrait from a studio."),
            ("oil", "The same in oil, for a wall."),
            ("pop-art", "The same as a silkscreen, for a chat."),
        )
    ),
    Piece(
        "parametric-v1",
        None,
        "A clearing, out of one sentence; the trees differ by their seed.",
        {"prompt": "house 4 m wide, snowman, 3 pines, round tree", "seed": 7},
        "clearing",
    ),
    Piece(
        "parametric-v1",
        None,
        "Standard parts by their tables, threads and involutes included.",
        {"prompt": "gear module 2 with 24 teeth, M12x50 bolt, M12 nut, M12 washer, rolamento"},
        "machine",
    ),
    Piece(
        "packed-bed-v1",
        None,
        "A hundred and fifty spheres, poured into a tube and settled.",
        {"diameter_m": 0.05, "particle_diameter_m": 0.01, "particle_count": 150, "seed": 1},
        "spheres",
    ),
    Piece(
        "bed-flow-lbm",
        None,
        "How easily air creeps through that bed, computed around every sphere.",
        {"mesh": {"resolution": 10, "length_diameters": 4}},
        "permeability",
        "bed",
        made_of="packed-bed-v1 spheres",
        part="particles.csv",
    ),
)


def picture_of(piece: Piece) -> Path | None:
    """The picture's file, found without loading the library that brings it."""
    if piece.picture is None:
        return None
    spec = find_spec("skimage")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / piece.picture
