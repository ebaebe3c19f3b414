"""A schedule before it is made."""

from dataclasses import dataclass

from pydantic import JsonValue

from usina_client._model import (
    CatchUp,
    Schedule,
)
from usina_client._submission import JobRequest, Sent, body_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """Either `cron` (five fields, by the wall clock of `timezone`) or `every_seconds`.

    `catch_up` says what becomes of moments that passed while no platform ran.
    """

    name: str
    job: JobRequest
    cron: str | None = None
    every_seconds: int | None = None
    timezone: str = "UTC"
    catch_up: CatchUp = "one"
    enabled: bool = True


def plan_body(plan: SchedulePlan, inputs: Sent) -> dict[str, JsonValue]:
    """The plan as JSON, with its job's inputs by id."""
    return {
        "name": plan.name,
        "cron": plan.cron,
        "every_seconds": plan.every_seconds,
        "timezone": plan.timezone,
        "job": body_of(plan.job, inputs),
        "catch_up": plan.catch_up,
        "enabled": plan.enabled,
    }


def plan_of(schedule: Schedule) -> SchedulePlan:
    """What a schedule was made from, to be changed and put in its place."""
    job = schedule.job
    request = JobRequest(
        model=job.model,
        params=job.params,
        inputs=job.inputs,
        priority=job.priority,
        max_attempts=job.max_attempts,
        timeout_seconds=job.timeout_seconds,
        labels=job.labels,
        strict=job.strict,
        reuse=job.reuse,
        callback_url=job.callback_url,
    )
    return SchedulePlan(
        name=schedule.name,
        job=request,
        cron=schedule.cron,
        every_seconds=schedule.every_seconds,
        timezone=schedule.timezone,
        catch_up=schedule.catch_up,
        enabled=schedule.enabled,
    )
