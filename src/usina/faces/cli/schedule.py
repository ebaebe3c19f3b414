"""`usina schedules`: jobs by the clock."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from usina.faces.cli.output import JsonFlag, show, show_json, show_list, show_one, show_pairs

if TYPE_CHECKING:
    from datetime import datetime

    from usina_client import Schedule

app = typer.Typer(help="Schedules: list, get, create, update, delete.", no_args_is_help=True)

CatchUp: TypeAlias = Literal["skip", "one", "all"]
ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.")]
Cron = Annotated[
    str | None,
    typer.Option(
        metavar="RULE", help="Minute, hour, day of the month, month, day of the week: '30 2 * * *'."
    ),
]
Every = Annotated[int | None, typer.Option(metavar="S", help="Every so many seconds instead.")]
Zone = Annotated[str | None, typer.Option(help="The zone whose wall clock cron follows.")]
Missed = Annotated[
    CatchUp | None,
    typer.Option(help="For moments missed while nothing ran: no job, one, or all of them."),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="K=V", help="A parameter; may be repeated."),
]


@app.command("list")
def list_schedules(json: JsonFlag = False) -> None:
    """List the schedules, the newest first."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        schedules = list(client.schedules.list())
    show_list(
        schedules,
        ("SCHEDULE", "NAME", "MODEL", "RULE", "NEXT"),
        lambda one: (one.id, one.name, one.job.model, _rule(one), _next(one)),
    )


@app.command("get")
def get_schedule(schedule_id: ScheduleId, json: JsonFlag = False) -> None:
    """Show a schedule with its next moment and its last job."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        schedule = client.schedules.get(schedule_id)
    if json:
        show_json(schedule.model_dump(mode="json"))
    else:
        _show_schedule(schedule)


@app.command("create")
def create_schedule(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    model: Annotated[str, typer.Argument(help="A model of the catalogue: see `usina models`.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT=FILE]...", help="The model's inputs, a file or an id each."),
    ] = None,
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = None,
    catch_up: Missed = None,
    param: Params = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Not yet.")] = False,
    json: JsonFlag = False,
) -> None:
    """Make a schedule and print its id."""
    from usina.faces.cli.parameter import read_inputs, read_params
    from usina.faces.cli.platform import find
    from usina.faces.cli.run import entry_of, explained
    from usina_client import JobRequest, SchedulePlan

    _one_rule(cron, every, needed=True)
    with find().client() as client:
        entry = entry_of(client, model)
        params, files = read_params(entry, param or []), read_inputs(entry, inputs or [])
        plan = SchedulePlan(
            name=name,
            job=JobRequest(model=entry.name, params=params, inputs=files),
            cron=cron,
            every_seconds=every,
            timezone=timezone or "UTC",
            catch_up=catch_up or "one",
            enabled=not disabled,
        )
        with explained(entry, "/job"):
            schedule = client.schedules.create(plan)
    show_one(schedule.model_dump(mode="json"), schedule.id)


@app.command("update")
def update_schedule(
    schedule_id: ScheduleId,
    name: Annotated[str | None, typer.Option(help="Call it so.")] = None,
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = None,
    catch_up: Missed = None,
    param: Params = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="On or off.")] = None,
    json: JsonFlag = False,
) -> None:
    """Change what is given of a schedule; the rest stays."""
    from dataclasses import replace

    from usina.faces.cli.parameter import read_params
    from usina.faces.cli.platform import find
    from usina.faces.cli.run import entry_of, explained
    from usina_client import plan_of

    _one_rule(cron, every, needed=False)
    with find().client() as client:
        plan = plan_of(client.schedules.get(schedule_id))
        if cron is not None or every is not None:
            plan = replace(plan, cron=cron, every_seconds=every)
        plan = replace(
            plan,
            name=plan.name if name is None else name,
            timezone=timezone or plan.timezone,
            catch_up=catch_up or plan.catch_up,
            enabled=plan.enabled if enable is None else enable,
        )
        entry = entry_of(client, plan.job.model)
        params = {**plan.job.params, **read_params(entry, param or [])}
        plan = replace(plan, job=replace(plan.job, params=params))
        with explained(entry, "/job"):
            schedule = client.schedules.replace(schedule_id, plan)
    show_one(schedule.model_dump(mode="json"), schedule.id)


@app.command("delete")
def delete_schedule(schedule_id: ScheduleId, json: JsonFlag = False) -> None:
    """Delete a schedule; the jobs that it made stay."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        client.schedules.delete(schedule_id)
    show_one({"id": schedule_id, "deleted": True}, schedule_id)


def _one_rule(cron: str | None, every: int | None, *, needed: bool) -> None:
    if cron is not None and every is not None:
        raise typer.BadParameter("Give --cron or --every, not both.", param_hint="--every")
    if needed and cron is None and every is None:
        raise typer.BadParameter("Give --cron RULE or --every S.", param_hint="--cron")


def _rule(schedule: "Schedule") -> str:
    if schedule.cron is None:
        return f"every {schedule.every_seconds} s"
    return f"{schedule.cron} ({schedule.timezone})"


def _next(schedule: "Schedule") -> str:
    return _time(schedule.next_at) if schedule.next_at else "disabled"


def _time(moment: "datetime") -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _show_schedule(schedule: "Schedule") -> None:
    pairs = [
        ("schedule", schedule.id),
        ("name", schedule.name),
        ("model", schedule.job.model),
        ("rule", _rule(schedule)),
        ("catch up", schedule.catch_up),
        ("next", _next(schedule)),
        ("created", _time(schedule.created_at)),
    ]
    if schedule.last_job_id:
        pairs.append(("last job", schedule.last_job_id))
    if schedule.last_error:
        pairs.append(("last error", schedule.last_error))
    show_pairs(pairs)
    for what, values in (("Parameters", schedule.job.params), ("Inputs", schedule.job.inputs)):
        if values:
            show("", f"{what}:")
            show_pairs([(f"  {key}", str(value)) for key, value in values.items()])
