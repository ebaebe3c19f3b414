"""`usina runner add-cog`: a model behind a Cog server joins the catalogue by its address."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.failure import CommandError, ExitCode
from usina.faces.cli.output import JsonFlag, say, show, show_json
from usina.faces.cli.setting import DataOption, settings_with

if TYPE_CHECKING:
    from usina.apps.cog.folder import Added, Wish


def add_cog(
    name: Annotated[str, typer.Argument(help="The model's name in the catalogue.")],
    url: Annotated[str, typer.Argument(help="The server's address, as http://host:5000.")],
    at_once: Annotated[
        int, typer.Option(min=1, max=1024, help="How many predictions it makes side by side.")
    ] = 1,
    task: Annotated[str, typer.Option(help="What it does, in a word or two.")] = "prediction",
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    license_: Annotated[
        str, typer.Option("--license", help="Of the model and its weights.")
    ] = "told by whoever serves it",
    timeout: Annotated[float, typer.Option(min=1, metavar="S", help="Of one prediction.")] = 3600,
    callback: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="By which the server reaches this machine, if not as we reach it."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, metavar="DIR", help="Where its folder goes; see USINA_RUNNERS."
        ),
    ] = None,
    data: DataOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the runner folder of a model whose Cog server runs, from what it says of itself.

    The platform knows the model from its next start on, also while the server is away. Once more,
    it takes over what has changed there.
    """
    from usina.apps.cog.folder import Wish

    wish = Wish(name, url, task, description, license_, at_once, timeout, callback)
    added = _added(wish, folder or settings_with(data=data).added_runners)
    if json:
        signature = added.signature
        show_json(
            {"folder": str(added.folder), "version": signature.version, "before": added.before}
            | {"inputs": [*signature.inputs], "params": [*signature.params]}
        )
    else:
        _tell(name, added)


def _added(wish: "Wish", below: Path) -> "Added":
    from usina.apps.cog.folder import add
    from usina.apps.cog.schema import UnknownSchema
    from usina.kernel.runners.manifest import ManifestError
    from usina_runner import Failure

    try:
        return add(wish, below)
    except Failure as failure:
        away = ExitCode.UNAVAILABLE if failure.code == "unavailable" else ExitCode.ERROR
        code = failure.reason or failure.code
        raise CommandError(failure.message, code=code, exit_code=away) from None
    except (UnknownSchema, ManifestError) as error:
        raise CommandError(str(error), code="bad_manifest") from None
    except FileExistsError as taken:
        message = f"{taken}: there is a runner folder of another kind; take another name."
        raise CommandError(message, code="name_taken") from None


def _tell(name: str, added: "Added") -> None:
    show(str(added.folder))
    for secret in added.signature.left_out:
        say(f"Left out: {secret}, a secret; give it to the server itself.")
    if added.before is None:
        say(f"Added {name}; the platform knows it from its next start on.")
    elif added.before == added.signature.version:
        say(f"{name} takes and gives what it did.")
    else:
        say(f"{name} has changed; the platform knows that from its next start on.")
