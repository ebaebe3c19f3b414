"""Installing a model: its environment, its weights, and the settings that it is found by."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from usina.install.environment import make_environment
from usina.install.fetch import Progress, Wanted, fetch, hashed
from usina.install.place import InstallError, Place, or_by_hand, recipe_of, without_password
from usina.install.python import python_for
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.terms import HUB, Weights


@dataclass(frozen=True, slots=True)
class Access:
    """How gated files are got: where the hub is, if it is not asked of its own library, and the
    token."""

    endpoint: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an install would do. ``bytes_needed`` counts what the manifest tells."""

    manifest: Manifest
    place: Place
    recipe: str
    environment_is_there: bool
    lacking: tuple[Weights, ...]

    @property
    def done(self) -> bool:
        return self.environment_is_there and not self.lacking and self.place.installed() is not None

    @property
    def bytes_needed(self) -> int:
        own = self.manifest.install.bytes if self.manifest.install else None
        made = 0 if self.environment_is_there else own or 0
        return made + sum(each.bytes or 0 for each in self.lacking)

    def steps(self) -> list[str]:
        """In words, in order."""
        recipe, told = self.manifest.install, list[str]()
        if recipe is not None and not self.environment_is_there:
            if recipe.git is not None:
                told.append(f"fetch {recipe.git} at {recipe.commit}")
            if recipe.archive is not None:
                told.append(f"fetch {recipe.archive}")
            told.append(f"make a Python environment in {self.place.environment(self.recipe)}")
            told += [f"install the packages of {file} by pip" for file in recipe.requirements]
        told += [f"fetch {each.path} from {each.source}" for each in self.lacking]
        return told


def plan(manifest: Manifest, data: Path, environment: Mapping[str, str]) -> Plan:
    """Raises `InstallError` for a model without a recipe."""
    if manifest.install is None:
        raise InstallError(
            f"{manifest.name} has no recipe; `usina models {manifest.name}` says what it needs."
        )
    place, recipe = Place.of(data, manifest.name), recipe_of(manifest)
    told = place.installed() or {}
    settled = told.get("recipe") == recipe and place.environment(recipe).is_dir()
    there = settled or place.is_whole(recipe)
    lacking = [
        each
        for each in manifest.weights
        if not (each.setting and environment.get(each.setting)) and not place.weight(each).exists()
    ]
    return Plan(manifest, place, recipe, there, tuple(lacking))


def install(
    wanted: Plan, access: Access, progress: Progress, python: str | None = None
) -> dict[str, str]:
    """Follows the plan and returns the model's settings; raises `InstallError`.

    Killed at any line it has installed nothing, and the next one goes on: files that were fetched
    and an environment that was finished are kept, another one is made anew.
    """
    manifest, place = wanted.manifest, wanted.place
    assert manifest.install is not None, "a plan has a recipe"
    with place.locked():
        _keep_room(wanted)
        folder = place.environment(wanted.recipe)
        if not wanted.environment_is_there:
            make_environment(
                manifest, folder, python_for(manifest.install.python, python), progress
            )
            place.finish(wanted.recipe)
        for each in wanted.lacking:
            asked = _wanted(each, manifest, folder, access)
            address, target = without_password(asked.url), place.weight(each)
            with or_by_hand(f"By hand: put {address} at {target}, and run it again."):
                fetch(asked, target, progress)
        place.index(manifest.weights)
        settings = _settings(manifest, place, folder)
        now = datetime.now(UTC).isoformat()
        place.settle(
            {"model": manifest.name, "recipe": wanted.recipe, "at": now, "settings": settings}
        )
        place.clear(keep=wanted.recipe)
    return settings


def remove(place: Place) -> None:
    """What was installed, with its weights; raises `InstallError` where nothing was."""
    if not place.folder.exists():
        raise InstallError(f"{place.folder.name} is not installed here.")
    with place.locked():
        place.remove()


def fault_of(each: Weights, path: Path) -> str | None:
    """What is wrong with a file of weights; null when it is what the manifest says."""
    if not path.exists():
        return f"{path} is not there"
    if path.is_file() and each.bytes not in (None, path.stat().st_size):
        return f"{path} has {path.stat().st_size} bytes instead of {each.bytes}"
    if path.is_file() and each.sha256 is not None and hashed(path) != each.sha256:
        return f"{path} has another SHA-256 than {each.sha256}"
    return None


def _keep_room(wanted: Plan) -> None:
    wanted.place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(wanted.place.folder).free
    if free < wanted.bytes_needed:
        raise InstallError(
            f"It needs {wanted.bytes_needed} bytes; {free} are free below {wanted.place.folder}."
        )


def _settings(manifest: Manifest, place: Place, folder: Path) -> dict[str, str]:
    recipe = manifest.install
    assert recipe is not None, "asked only of what can be installed"
    stands_for = {
        "{python}": str(folder / "venv/bin/python"),
        "{source}": str(folder / "source"),
        "{weights}": str(place.weights),
    }
    told = {each.setting: str(place.weight(each)) for each in manifest.weights if each.setting}
    for name, value in recipe.settings.items():
        for word, path in stands_for.items():
            value = value.replace(word, path)
        told[name] = value
    return told


def _wanted(each: Weights, manifest: Manifest, folder: Path, access: Access) -> Wanted:
    page = manifest.terms.url if manifest.terms and manifest.terms.url else each.source
    label = f"{each.name} ({each.path.name})"
    if not each.source.startswith(HUB):
        gate = f"Its terms: {page}"
        return Wanted(each.source, label, each.sha256, each.bytes, None, gate)
    repository, _, revision = each.source.removeprefix(HUB).partition("@")
    url = _address(repository, revision or "main", each.file, folder, access)
    gate = (
        f"Accept the terms of {page}, then set HF_TOKEN to a token that may read it."
        if access.token is None
        else f"HF_TOKEN was not accepted: accept the terms of {page} with the same account."
    )
    return Wanted(url, label, each.sha256, each.bytes, access.token, gate)


def _address(repository: str, revision: str, file: str, folder: Path, access: Access) -> str:
    """Where the hub is, only its own library knows, which lies in the model's environment."""
    if access.endpoint is not None:
        base = access.endpoint.rstrip("/")
        return f"{base}/{repository}/resolve/{quote(revision, safe='')}/{quote(file)}"
    ask = (
        "import sys, huggingface_hub; "
        "print(huggingface_hub.hf_hub_url(sys.argv[1], sys.argv[3], revision=sys.argv[2]))"
    )
    command = [str(folder / "venv/bin/python"), "-c", ask, repository, revision, file]
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    if said.returncode:
        raise InstallError(
            f"Where hf:{repository} lies is not known: its environment has no huggingface_hub. "
            "Set HF_ENDPOINT to the hub's address."
        )
    return said.stdout.strip()
