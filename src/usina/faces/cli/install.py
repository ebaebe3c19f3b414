"""`usina models install` and `remove`: environments of real models, on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.failure import CommandError
from usina.faces.cli.output import JsonFlag, say, show_one, size
from usina.faces.cli.setting import DataOption

if TYPE_CHECKING:
    from usina.install.install import Plan
    from usina.kernel.runners.manifest import Manifest
    from usina.settings import Settings


def install(
    name: Annotated[str, typer.Argument(help="The model.")],
    data: DataOption = None,
    python: Annotated[
        str | None, typer.Option(metavar="PROGRAM", help="The Python to make its environment with.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Make a model's environment and fetch its weights, below `models` of the data folder.

    It may be stopped and repeated at any time: what was fetched is not fetched again.
    """
    from usina.catalogue import homes_of
    from usina.faces.cli.board import board
    from usina.faces.cli.setting import settings_with
    from usina.install.install import Access, plan
    from usina.install.install import install as follow
    from usina.install.place import InstallError

    settings = settings_with(data=data)
    try:
        wanted = plan(_manifest(settings, name), settings.data, settings.homes())
        _tell(wanted)
        if not wanted.done and not yes:
            typer.confirm("Go on?", default=False, abort=True, err=True)
        token = settings.hf_token.get_secret_value() if settings.hf_token else None
        with board() as shown:
            row = shown.row(name)
            told = follow(wanted, Access(settings.hf_endpoint, token), row.show, python)
    except InstallError as error:
        raise CommandError(str(error), code="not_installed") from None
    own = {key: value for key, value in homes_of(settings).items() if key in told}
    show_one(
        {"model": name, "folder": str(wanted.place.folder), "settings": told},
        *(f"{key}={value}" for key, value in told.items()),
    )
    say(f"{name} is installed in {wanted.place.folder}. A platform of this data folder finds it by")
    say("itself when it starts; the lines above are for the .env of another one.")
    for key in sorted(key for key in own if own[key] != told[key]):
        say(f"Your own {key} is set and comes before it: {own[key]}")


def remove(
    name: Annotated[str, typer.Argument(help="The model.")],
    data: DataOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Remove what `install` made: the environment and the weights. The model stays listed."""
    from usina.faces.cli.setting import settings_with
    from usina.install.install import remove as take_away
    from usina.install.place import InstallError, Place

    settings = settings_with(data=data)
    place = Place.of(settings.data, _manifest(settings, name).name)
    if not yes:
        typer.confirm(f"Remove {place.folder} with its weights?", abort=True, err=True)
    try:
        take_away(place)
    except InstallError as error:
        raise CommandError(str(error), code="not_installed") from None
    show_one({"model": name, "folder": str(place.folder)}, str(place.folder))


def _manifest(settings: "Settings", name: str) -> "Manifest":
    from usina.catalogue import manifests_of
    from usina.faces.cli.failure import ExitCode
    from usina.kernel.runners.form import suggestion

    found = manifests_of(settings)
    if name not in found:
        message = f"There is no model named {name!r}.{suggestion(name, found)}"
        raise CommandError(message, code="not_found", exit_code=ExitCode.NOT_FOUND)
    return found[name]


def _tell(wanted: "Plan") -> None:
    """What it will do, what it needs, and what its licence says, before anything is done."""
    manifest = wanted.manifest
    say(f"{manifest.name} {manifest.version}, {manifest.license}")
    terms = manifest.terms
    if terms is not None:
        if not terms.commercial:
            say("  terms: no commercial use")
        if terms.revenue_limit_usd is not None:
            say(f"  terms: for a revenue below {terms.revenue_limit_usd:,} USD a year")
        if terms.excluded_territories:
            say(f"  terms: not valid in {', '.join(terms.excluded_territories)}")
        if terms.url is not None:
            say(f"  terms: {terms.url}")
    for step in wanted.steps():
        say(f"  - {step}")
    if wanted.done:
        say("  all of it is there already")
    elif wanted.bytes_needed:
        say(f"  it needs {size(wanted.bytes_needed)} on the disk of {wanted.place.folder}")
    else:
        say("  how much room it needs is not told")
