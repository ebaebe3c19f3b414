"""Which models there are: the rooms', those that live in their own environments, the operator's."""

from pathlib import Path
from typing import Final

import usina
from usina.ground import CanNotStart
from usina.install.place import installed_settings
from usina.kernel.registry import (
    Registry,
    UnknownRoute,
    discover_apps,
    load_registry,
    read_manifests,
)
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.policy import Policy
from usina.settings import Settings

_PACKAGE: Final = Path(usina.__file__).parent


async def registry_of(settings: Settings) -> Registry:
    """Every model, and whether it can run here; raises :class:`CanNotStart` where a route names
    none of them."""
    try:
        return await load_registry(
            discover_apps("usina.apps"),
            _folders(settings),
            settings.routes,
            homes_of(settings),
            policy_of(settings),
        )
    except UnknownRoute as unknown:
        raise CanNotStart(str(unknown)) from unknown


def manifests_of(settings: Settings) -> dict[str, Manifest]:
    """Every manifest by its model's name, without asking whether it can run."""
    found, _ = read_manifests(discover_apps("usina.apps"), _folders(settings), homes_of(settings))
    return found


def homes_of(settings: Settings) -> dict[str, str]:
    """Variables of programs: those of installed models, and the operator's own before them."""
    return {**installed_settings(settings.data), **settings.homes()}


def policy_of(settings: Settings) -> Policy:
    """Whose terms the operator accepts."""
    return Policy(
        settings.use,
        frozenset(settings.territories),
        settings.revenue_usd,
        frozenset(settings.accept_terms),
    )


def wrappers() -> Path:
    """The folder of the models that live in their own environments: ``runners`` of the package
    that is installed, or of the checkout that is worked in."""
    packed = _PACKAGE / "runners"
    return packed if packed.is_dir() else _PACKAGE.parents[1] / "runners"


def _folders(settings: Settings) -> tuple[Path, ...]:
    return (wrappers(), *settings.runners, settings.added_runners)
