"""`usina whoami`, `usina keys`, `usina audit`: who calls, with which keys, and who changed what."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.output import JsonFlag, say, show_list, show_one, show_pairs

if TYPE_CHECKING:
    from usina_client import ApiKey, AuditEntry

keys = typer.Typer(help="API keys: list, create, revoke.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")]


def whoami(json: JsonFlag = False) -> None:
    """Say who the key in use is, in which organization, and what it may."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        who = client.auth.me()
    if json:
        show_one(who.model_dump(mode="json"))
        return
    key = who.api_key
    show_pairs(
        [
            ("organization", f"{who.organization.name} ({who.organization.id})"),
            ("person", who.username or "none"),
            ("key", f"{key.name} ({key.prefix}...)" if key else "none"),
            ("role", who.role),
            ("may", ", ".join(who.permissions)),
        ]
    )


@keys.command("list")
def list_keys(json: JsonFlag = False) -> None:
    """List the API keys, the newest first; an administrator sees everybody's."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        found = list(client.api_keys.list())
    show_list(found, ("KEY", "NAME", "BEGINS", "SCOPES", "OF", "LAST USED", "UNTIL"), _key_row)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it lets through; everything unless told.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="How long it is good.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make an API key and print it; it is shown only now."""
    from usina.faces.cli.platform import find

    end = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with find().client() as client:
        made = client.api_keys.create(name, scopes=scope or ("all",), expires_at=end)
    if not json:
        say(f"Key {made.name} is {made.id}. It is shown only now:")
    show_one(made.model_dump(mode="json"), made.secret or "")


@keys.command("revoke")
def revoke_key(key_id: KeyId, json: JsonFlag = False) -> None:
    """Revoke an API key; it is refused at once."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        client.api_keys.revoke(key_id)
    show_one({"id": key_id}, key_id)


def audit(
    action: Annotated[
        str | None, typer.Option(help="Only changes of this kind, such as api_key.created.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="ID", help="Only changes of the thing with this id.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="ID", help="Only changes by this person or key.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: JsonFlag = False,
) -> None:
    """Show who changed what in the organization, the newest first."""
    from itertools import islice

    from usina.faces.cli.platform import find

    with find().client() as client:
        entries = client.audit.list(action=action, subject_id=subject, actor=actor)
        found = list(islice(entries, limit))
    show_list(found, ("AT", "WHO", "ACTION", "WHAT", "AFTER"), _entry_row)


def _key_row(key: "ApiKey") -> tuple[str, ...]:
    return (
        key.id,
        key.name,
        key.prefix,
        ",".join(key.scopes),
        key.created_by or "-",
        _moment(key.last_used_at),
        _moment(key.expires_at),
    )


def _entry_row(entry: "AuditEntry") -> tuple[str, ...]:
    after = ", ".join(f"{name}={value}" for name, value in (entry.after or {}).items())
    subject = f"{entry.subject.type} {entry.subject.id or ''}".strip()
    return _moment(entry.at), entry.actor.name, entry.action, subject, after


def _moment(at: datetime | None) -> str:
    return "-" if at is None else at.astimezone().isoformat(" ", "seconds")
