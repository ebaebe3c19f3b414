"""`usina webhooks`: who is told of what, and what became of it."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from usina.faces.cli.output import JsonFlag, say, show_list, show_one

if TYPE_CHECKING:
    from usina_client import Delivery, Webhook

app = typer.Typer(
    help="Webhooks: list, create, update, delete, test, secret, deliveries, replay.",
    no_args_is_help=True,
)

Status: TypeAlias = Literal["pending", "delivered", "failed"]
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="The endpoint's id.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--event", "-e", metavar="TYPE", help="As job.failed; may be repeated."),
]


@app.command("list")
def list_webhooks(json: JsonFlag = False) -> None:
    """List the endpoints, the newest first."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        webhooks = list(client.webhooks.list())
    show_list(webhooks, ("WEBHOOK", "URL", "STATE", "EVENTS", "DESCRIPTION"), _row)


@app.command("create")
def create_webhook(
    url: Annotated[str, typer.Argument(help="Where events are sent: http or https.")],
    event: Types = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    own_secret: Annotated[
        bool, typer.Option("--own-secret", help="Sign with a secret of its own.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Have an address told of events; of the ends of jobs unless given. Prints its id."""
    from usina.faces.cli.platform import find
    from usina_client import WebhookPlan

    plan = WebhookPlan(url=url, event_types=event, description=description, own_secret=own_secret)
    with find().client() as client:
        webhook = client.webhooks.create(plan)
    if not json:
        say(f"`usina webhooks test {webhook.id}` tries it.")
    show_one(webhook.model_dump(mode="json"), webhook.id)


@app.command("update")
def update_webhook(
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option(help="Send there from now on.")] = None,
    event: Types = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="On or off.")] = None,
    json: JsonFlag = False,
) -> None:
    """Change what is given of an endpoint; the rest stays."""
    from dataclasses import replace

    from usina.faces.cli.platform import find
    from usina_client import webhook_plan_of

    with find().client() as client:
        plan = webhook_plan_of(client.webhooks.get(webhook_id))
        plan = replace(
            plan,
            url=url or plan.url,
            event_types=event or plan.event_types,
            description=plan.description if description is None else description,
            enabled=plan.enabled if enable is None else enable,
        )
        webhook = client.webhooks.replace(webhook_id, plan)
    show_one(webhook.model_dump(mode="json"), webhook.id)


@app.command("delete")
def delete_webhook(webhook_id: WebhookId, json: JsonFlag = False) -> None:
    """Tell an endpoint nothing more."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        client.webhooks.delete(webhook_id)
    show_one({"id": webhook_id, "deleted": True}, webhook_id)


@app.command("test")
def try_webhook(webhook_id: WebhookId, json: JsonFlag = False) -> None:
    """Send an endpoint a test event and print the delivery's id."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        delivery = client.webhooks.test(webhook_id)
    if not json:
        say(f"`usina webhooks deliveries --webhook {webhook_id}` shows what came of it.")
    show_one(delivery.model_dump(mode="json"), delivery.id)


@app.command("secret")
def show_secret(
    webhook_id: Annotated[
        str | None, typer.Argument(metavar="[WEBHOOK]", help="An endpoint's, if it has its own.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; both sign for a day.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Print what deliveries are signed with: the organization's secret, or an endpoint's."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        secrets = client.webhooks
        secret = secrets.rotate_secret(webhook_id) if rotate else secrets.secret(webhook_id)
    show_one(secret.model_dump(mode="json"), secret.secret)


@app.command("deliveries")
def list_deliveries(
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="WEBHOOK", help="Only to this endpoint.")
    ] = None,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Only of this job.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List what was told, the newest first, and what came of it."""
    from itertools import islice

    from usina.faces.cli.platform import find

    with find().client() as client:
        found = client.webhooks.deliveries(
            status=status, webhook_id=webhook, job_id=job, limit=min(limit, 200)
        )
        deliveries = list(islice(found, limit))
    columns = ("DELIVERY", "EVENT", "STATUS", "TRIES", "LAST", "NEXT", "URL")
    show_list(deliveries, columns, _delivery)


@app.command("replay")
def replay_delivery(
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")],
    json: JsonFlag = False,
) -> None:
    """Send a delivery again, whatever became of it."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        delivery = client.webhooks.replay(delivery_id)
    show_one(delivery.model_dump(mode="json"), delivery.id)


def _row(webhook: "Webhook") -> tuple[str, ...]:
    state = "enabled" if webhook.enabled else f"disabled ({webhook.disabled_reason or 'by hand'})"
    if webhook.enabled and webhook.failing_since is not None:
        state = f"failing since {webhook.failing_since:%Y-%m-%dT%H:%M:%SZ}"
    events = ", ".join(webhook.event_types)
    return webhook.id, webhook.url, state, events, webhook.description or "-"


def _delivery(delivery: "Delivery") -> tuple[str, ...]:
    last, due = delivery.last_attempt, delivery.next_attempt_at
    came = "-" if last is None else str(last.status_code or (last.error and last.error.code))
    return (
        delivery.id,
        delivery.type,
        delivery.status,
        str(delivery.attempt_count),
        came,
        "-" if due is None else f"{due:%Y-%m-%dT%H:%M:%SZ}",
        delivery.url,
    )
