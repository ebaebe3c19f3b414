"""The catalogue: what every room declares, and what of it can run here."""

import asyncio
import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import structlog

from usina.kernel.runners.form import Form, suggestion
from usina.kernel.runners.manifest import Manifest, ManifestError, load_manifest
from usina.kernel.runners.policy import OPEN, Policy
from usina.kernel.runners.probe import Probed, probe

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_ENTRY_POINTS: Final = "usina.apps"
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class App:
    """A room's declaration: its models are the runner folders below ``runners``.

    What else it brings is named as ``module:name`` and loaded only where it is served: ``http`` is
    a router of the web framework, ``grpc`` a `usina.grpc_kit.service.Service`, ``beat`` a function
    from the platform to its turns by name, each with the seconds in between, ``callback`` the
    `OwnWords` that a job's ``callback_url`` is told, ``files`` says like `UsedByJobs` which files
    the room keeps.
    """

    name: str
    runners: Path
    http: str | None = None
    beat: str | None = None
    callback: str | None = None
    grpc: str | None = None
    files: str | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    gpu: int
    memory_bytes: int
    slots: int
    gpu_memory_bytes: int
    cpu: bool


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue; schemas are JSON Schema (2020-12)."""

    name: str
    version: str
    task: str
    description: str
    license: str
    input_schema: dict[str, Any]
    params_schema: dict[str, Any]
    default_params: dict[str, Any]
    resources: Resources
    timeout_seconds: float
    available: bool
    unavailable_reason: str | None
    manifest: Manifest
    form: Form
    queue: str
    refused: bool = False
    """Whether its terms are not accepted here, which no worker elsewhere can change."""
    said: str = ""
    """What its probe said of a program that can run here: its version."""


class UnknownRoute(Exception):
    """A model that is not in the catalogue was routed to a queue."""


class Registry:
    """Models by name. Those whose program is missing stay listed, with the reason."""

    def __init__(
        self, models: Iterable[Model], problems: Sequence[str] = (), apps: Sequence[App] = ()
    ) -> None:
        self.apps = tuple(apps)
        self._models = {model.name: model for model in sorted(models, key=lambda m: m.name)}
        self._own = dict(self._models)
        self.problems = tuple(problems)

    def learn(self, told: Sequence[Mapping[str, str]]) -> None:
        """What the workers of other machines say of their models: by name why one can not run
        there, and nothing where it can. A model can run if it can here or anywhere."""
        for name, model in self._own.items():
            reasons = [each[name] for each in told if name in each]
            if reasons and not model.available and not model.refused:
                reason = min(reasons) or None
                model = replace(model, available=reason is None, unavailable_reason=reason)
            self._models[name] = model

    async def look_again(self, name: str) -> bool:
        """Asks the model's probe once more; whether the answer is another one."""
        model = self._own[name]
        reason, said = await probe(model.manifest)
        if reason == model.unavailable_reason:
            self._own[name] = replace(model, said=said)
            return False
        changed = replace(model, available=reason is None, unavailable_reason=reason, said=said)
        self._own[name] = self._models[name] = changed
        return True

    def reasons(self) -> dict[str, str]:
        """By name why a model can not run here, and nothing where it can."""
        return {name: model.unavailable_reason or "" for name, model in self._own.items()}

    def served(self) -> frozenset[str]:
        """Names of the models that can run here."""
        return frozenset(name for name, model in self._own.items() if model.available)

    def said(self, name: str) -> str:
        """What the model's probe said here, last."""
        return self._own[name].said

    def all(self) -> Sequence[Model]:
        return tuple(self._models.values())

    def get(self, name: str) -> Model | None:
        return self._models.get(name)


def loaded(place: str) -> Any:
    """What a room has named as ``module:name``."""
    return pkgutil.resolve_name(place)


def discover_apps(package: str) -> list[App]:
    """The rooms inside ``package`` and those that other distributions register."""
    rooms = importlib.import_module(package)
    modules = [
        importlib.import_module(f"{room.name}.app")
        for room in pkgutil.iter_modules(rooms.__path__, f"{package}.")
        if room.ispkg
    ]
    found: list[App] = [module.app for module in modules]
    found.extend(entry.load() for entry in entry_points(group=_ENTRY_POINTS))
    return found


async def load_registry(
    apps: Sequence[App],
    folders: Sequence[Path],
    routes: Mapping[str, str] = _NONE,
    homes: Mapping[str, str] = _NONE,
    policy: Policy = OPEN,
) -> Registry:
    """Reads every manifest and asks every model whether it can run here.

    A broken manifest of an added folder is a problem to report, not a reason to stop. ``routes``
    names the queues of models that have another one than their need for a GPU gives them;
    ``homes`` are variables of programs where the environment does not name them. ``policy`` says
    whose terms are accepted: other models are not even asked.
    """
    manifests, problems = read_manifests(apps, folders, homes)
    for problem in problems:
        _log.warning("runner folder refused", problem=problem)
    for name in routes:
        if name not in manifests:
            raise UnknownRoute(
                f"USINA_ROUTES: there is no model named {name!r}.{suggestion(name, manifests)}"
            )
    models = await asyncio.gather(
        *(model_of(each, routes.get(each.name), policy) for each in manifests.values())
    )
    return Registry(models, problems, apps)


def read_manifests(
    apps: Sequence[App], folders: Sequence[Path], homes: Mapping[str, str] = _NONE
) -> tuple[dict[str, Manifest], list[str]]:
    """Every manifest by its model's name, and what is wrong with the others."""
    places = [place for app in apps for place in _runner_folders(app.runners)]
    places.extend(place for folder in folders for place in _runner_folders(folder))
    manifests: dict[str, Manifest] = {}
    problems: list[str] = []
    for place in places:
        try:
            manifest = load_manifest(place, homes)
        except ManifestError as error:
            problems.append(str(error))
            continue
        if manifest.name in manifests:
            problems.append(f"{place}: a model named {manifest.name} is there already")
        manifests.setdefault(manifest.name, manifest)
    return manifests, problems


def _runner_folders(folder: Path) -> list[Path]:
    if (folder / "runner.toml").is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/runner.toml"))


async def model_of(manifest: Manifest, queue: str | None = None, policy: Policy = OPEN) -> Model:
    """The catalogue's entry of a runner folder; asks its probe whether it can run here.

    Its queue is ``gpu`` where it needs one and ``default`` where not, unless another is told.
    """
    refusal = policy.refusal(manifest.name, manifest.license, manifest.terms)
    reason, said = Probed(refusal) if refusal else await probe(manifest)
    form = Form.of(manifest)
    return Model(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        description=manifest.description,
        license=manifest.license,
        input_schema=manifest.input_schema(),
        params_schema=form.params_schema,
        default_params=form.defaults,
        resources=Resources(**manifest.resources.model_dump(exclude={"at_once"})),
        timeout_seconds=manifest.timeout_seconds,
        available=reason is None,
        unavailable_reason=reason,
        manifest=manifest,
        form=form,
        queue=queue or ("gpu" if manifest.resources.gpu else "default"),
        refused=refusal is not None,
        said=said,
    )
