"""The folder of a diffusers pipeline, looked at before any of it is loaded.

diffusers takes a folder that is not there for a name on a hub, and then complains of a connection;
so what is missing is found out here, and named.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "STABLE_DIFFUSION_PATH"
_INDEX: Final = "model_index.json"
_WITHOUT_WEIGHTS: Final = ("scheduler", "tokenizer", "feature_extractor", "image_processor")
_POINTER: Final = b"version https://git-lfs"


class BadFolder(Exception):
    """It can not be loaded; the message says what is missing and what to do."""


def check_folder(folder: Path) -> None:
    """Raises `BadFolder`, whose message names the setting and never the path."""
    if folder.is_file():
        raise BadFolder(
            f"{FOLDER} names a single file; it takes the folder of a diffusers pipeline. Convert "
            "the file with diffusers' convert_original_stable_diffusion_to_diffusers.py."
        )
    if not folder.is_dir():
        raise BadFolder(
            f"{FOLDER} names a folder that is not there; put a diffusers pipeline there, which is "
            f"a folder with {_INDEX} and one folder for each of its parts."
        )
    for part in _parts(folder):
        _check_part(folder / part, part)


def _parts(folder: Path) -> Iterator[str]:
    """The names of the parts that the pipeline can not do without."""
    try:
        index: dict[str, Any] = json.loads((folder / _INDEX).read_bytes())
    except OSError:
        raise BadFolder(
            f"The folder that {FOLDER} names has no {_INDEX}; name the folder of a whole "
            "diffusers pipeline, not one of its parts."
        ) from None
    except ValueError:
        raise BadFolder(f"The {_INDEX} in {FOLDER} is no JSON; copy the pipeline anew.") from None
    for name, told in index.items():
        if isinstance(told, list) and told[0] is not None and name != "safety_checker":
            yield name


def _check_part(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise BadFolder(
            f"The pipeline in {FOLDER} lacks its part {name!r}; copy it anew, with all its parts."
        )
    weights = [*folder.glob("*.safetensors")]
    if not weights and not name.startswith(_WITHOUT_WEIGHTS):
        raise BadFolder(
            f"The part {name!r} of the pipeline in {FOLDER} has no weights as .safetensors; get "
            "the pipeline in that format (others can hide programs, and are not loaded)."
        )
    for path in weights:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise BadFolder(
                    f"{name}/{path.name} in {FOLDER} is a pointer of Git LFS and not the weights; "
                    "run `git lfs pull` in that folder."
                )
