"""An event on the wire, in lists and on live channels."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from usina.http_kit.job import Link
from usina.kernel.clock import rfc3339
from usina.kernel.events import cursor
from usina.kernel.events.event import Event, Hint


class EventDocument(BaseModel):
    """One line of the event log."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "M2Y5YTFjMjc6NDI",
                "job_id": "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e",
                "seq": 2,
                "type": "job.running",
                "at": "2026-11-21T10:00:00.012000Z",
                "data": {"attempt": 1},
            }
        }
    )

    id: str = Field(description="An opaque cursor: continue after this event with it.")
    job_id: str | None
    seq: int | None = Field(description="Counts a job's events from 1 without a gap.")
    type: str
    at: datetime
    data: dict[str, Any]


def event_document(event: Event, epoch: str, link: Link) -> dict[str, Any]:
    """The event as clients see it (:class:`EventDocument`)."""
    return {
        "id": cursor.encode(epoch, event.position),
        "job_id": event.job_id,
        "seq": event.seq,
        "type": event.type,
        "at": rfc3339(event.at),
        "data": _with_link(event.data, link),
    }


def hint_document(hint: Hint) -> dict[str, Any]:
    """A finer step on a live channel: not in the log, so without ``id``, ``seq`` and ``at``."""
    return {"job_id": hint.job_id, "type": hint.type, "data": hint.data}


def _with_link(data: Mapping[str, Any], link: Link) -> Mapping[str, Any]:
    """An artifact in an event gets its link when it is shown, for links expire."""
    artifact: dict[str, Any] | None = data.get("artifact")
    if artifact is None:
        return data
    return {**data, "artifact": {**artifact, "url": link(artifact["id"])}}
