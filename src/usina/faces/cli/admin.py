"""`usina admin`: what is done on the machine of the platform, beside its API."""

from dataclasses import asdict
from typing import Annotated

import typer

from usina.faces.cli.output import JsonFlag, say, show_one
from usina.faces.cli.setting import DataOption

app = typer.Typer(help="Organizations, and whose a store is.", no_args_is_help=True)
organization = typer.Typer(help="Organizations: create.", no_args_is_help=True)
app.add_typer(organization, name="organization")


@organization.command("create")
def create_organization(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    data: DataOption = None,
    json: JsonFlag = False,
) -> None:
    """Make an organization and print its API key, which is shown only now."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import create_organization as create

    made = create(settings_with(data=data), name)
    if not json:
        say(f"Organization {made.name} is {made.organization_id}. Its key is shown only now:")
    show_one(
        {
            "organization_id": made.organization_id,
            "name": made.name,
            "api_key": made.api_key,
        },
        made.api_key,
    )


@app.command("adopt-store")
def adopt_store(data: DataOption = None, json: JsonFlag = False) -> None:
    """Make the store of the settings that of their database's platform, whosever it was.

    Objects that this platform does not know are deleted: at once when `usina up` starts, within
    hours by `usina beat`.
    """
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import adopt_store as adopt

    done = adopt(settings_with(data=data))
    whose = f"that of the platform {done.before}" if done.before else "nobody's"
    show_one(asdict(done), f"The store is the platform {done.platform_id}'s; it was {whose}.")
