"""`usina admin`: what is done on the machine of the platform, beside its API."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from usina.faces.cli.output import JsonFlag, json_wanted, say, show_json, show_one, show_table
from usina.faces.cli.setting import DataOption
from usina.kernel.tenancy.permission import EVERYTHING, Role

app = typer.Typer(help="Organizations, persons, keys; whose a store is.", no_args_is_help=True)
organization = typer.Typer(help="Organizations: create, list.", no_args_is_help=True)
user = typer.Typer(help="Persons: create.", no_args_is_help=True)
key = typer.Typer(help="API keys: create, revoke.", no_args_is_help=True)
app.add_typer(organization, name="organization")
app.add_typer(user, name="user")
app.add_typer(key, name="key")

Organization = Annotated[
    str, typer.Option("--organization", metavar="NAME", help="Its name or its id.")
]


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


@organization.command("list")
def list_organizations(data: DataOption = None, json: JsonFlag = False) -> None:
    """List the organizations, the oldest first: that one's owners steer the platform."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import list_organizations as listed

    found = listed(settings_with(data=data))
    if json_wanted():
        show_json([asdict(one) for one in found])
        return
    rows = [(one.id, one.name, str(one.members)) for one in found]
    show_table(("id", "name", "members"), rows)


@user.command("create")
def create_user(
    email: Annotated[str, typer.Argument(help="The address to log in with.")],
    organization: Organization,
    role: Annotated[Role, typer.Option(help="What one is there.")] = Role.MEMBER,
    password: Annotated[
        bool, typer.Option("--ask-password", help="Ask for a password, or read it from a pipe.")
    ] = False,
    data: DataOption = None,
    json: JsonFlag = False,
) -> None:
    """Make a person a member of an organization, and print the password, if it is a new one."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import create_user as create

    given: str | None = typer.prompt("Password", hide_input=True, err=True) if password else None
    made = create(settings_with(data=data), organization, email, role, given)
    if not json:
        say(f"{made.email} is {role.value} of {organization}.")
        if made.password is not None:
            say("The password is shown only now:")
    show_one(asdict(made), *([made.password] if made.password is not None else []))


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    organization: Organization,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it lets through; everything unless told.")
    ] = None,
    role: Annotated[Role, typer.Option(help="What it is there.")] = Role.MEMBER,
    days: Annotated[float | None, typer.Option(min=0, help="How long it is good.")] = None,
    data: DataOption = None,
    json: JsonFlag = False,
) -> None:
    """Make an API key that is nobody's, and print it; it is shown only now."""
    from usina.faces.cli.setting import settings_with
    from usina.kernel.tenancy.api_key import Wanted
    from usina.upkeep import create_key as create

    end = None if days is None else datetime.now(UTC) + timedelta(days=days)
    wanted = Wanted(name, tuple(scope or [EVERYTHING]), end)
    made = create(settings_with(data=data), organization, wanted, role)
    if not json:
        say(f"Key {name} is {made.id}. It is shown only now:")
    show_one(asdict(made), made.secret)


@key.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="Its id, or the prefix that lists show.")],
    data: DataOption = None,
    json: JsonFlag = False,
) -> None:
    """Revoke an API key; a running platform knows it within five seconds."""
    from usina.faces.cli.setting import settings_with
    from usina.upkeep import revoke_key as revoke

    revoked = revoke(settings_with(data=data), key)
    if not json:
        say("It is refused from now on.")
    show_one({"id": revoked}, revoked)


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
