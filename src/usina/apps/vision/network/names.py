"""What the classes of a network are called."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from usina.apps.vision.network.fault import Unusable

_WORDS: Final = """
person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign
parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella
handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard
surfboard tennis_racket bottle wine_glass cup fork knife spoon bowl banana apple sandwich orange
broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed dining_table toilet tv laptop
mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book clock vase scissors
teddy_bear hair_drier toothbrush"""

COCO: Final = tuple(word.replace("_", " ") for word in _WORDS.split())
"""The 80 classes of COCO in their usual order, which networks of 80 classes without names have."""

_LONGEST: Final = 1 << 20
_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Names:
    """``all`` has a name for every class that is known; ``origin`` is one of ``metadata``,
    ``names.txt``, ``assumed`` (COCO's) and ``numbers``."""

    all: tuple[str, ...]
    origin: str

    def of(self, number: int) -> str:
        return self.all[number] if 0 <= number < len(self.all) else f"class-{number}"


def told_names(metadata: Mapping[str, str], beside: Path | None) -> Names | None:
    """Those of the file beside the network, else of the network's own ``names``; None without
    either. Raises ``Unusable`` for names that cannot be read."""
    if beside is not None:
        lines = beside.read_text("utf-8", errors="replace").splitlines()
        found = [line.strip() for line in lines if line.strip()]
        return Names(_checked(found, beside.name), beside.name)
    told = metadata.get("names")
    return None if told is None else Names(_checked(_parsed(told), "the metadata"), "metadata")


def assumed_names(count: int) -> Names:
    """For a network of ``count`` classes that tells none."""
    if count == len(COCO):
        return Names(COCO, "assumed")
    return Names(tuple(f"class-{number}" for number in range(count)), "numbers")


def literal(told: str) -> Any:
    """The value of JSON, or of a Python literal as Ultralytics writes it; None for neither. Nothing
    is ever evaluated."""
    if len(told) > _LONGEST:
        return None
    try:
        return json.loads(told)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(told)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _parsed(told: str) -> list[str]:
    value = literal(told)
    if isinstance(value, dict):
        table = {str(key): name for key, name in cast("dict[Any, Any]", value).items()}
        value = [table.get(str(number)) for number in range(len(table))]
    if not isinstance(value, list):
        return []
    names = cast("list[Any]", value)
    return [name for name in names if isinstance(name, str)] if _all_text(names) else []


def _all_text(names: list[Any]) -> bool:
    return all(isinstance(name, str) for name in names)


def _checked(names: list[str], place: str) -> tuple[str, ...]:
    if not names:
        raise Unusable(
            "names_unreadable",
            f"The class names in {place} cannot be read. A file names.txt beside the network, with "
            "a name in each line, takes their place.",
        )
    return tuple(name[:_NAME] for name in names)
