"""What a client says over the WebSocket. Strict, as bodies are."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from usina.http_kit.problem import invalid
from usina.kernel.events.event import Event

_MOST_JOBS = 100


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Authenticate(_Command):
    """Who calls, and after which event to go on."""

    type: Literal["auth"]
    token: str = Field(min_length=1, max_length=8192, repr=False)
    cursor: str | None = None


class Subscribe(_Command):
    """Only events of these jobs and these types; null means all. Each replaces the one before."""

    type: Literal["subscribe"]
    jobs: list[str] | None = Field(None, min_length=1, max_length=_MOST_JOBS)
    types: list[str] | None = Field(None, min_length=1, max_length=_MOST_JOBS)
    cursor: str | None = Field(None, description="Begin anew after this event.")

    @cached_property
    def _jobs(self) -> frozenset[str] | None:
        return None if self.jobs is None else frozenset(self.jobs)

    @cached_property
    def _types(self) -> frozenset[str] | None:
        return None if self.types is None else frozenset(self.types)

    def covers(self, event: Event) -> bool:
        jobs, types = self._jobs, self._types
        return (jobs is None or event.job_id in jobs) and (types is None or event.type in types)


EVERYTHING = Subscribe.model_validate({"type": "subscribe"})


class Ping(_Command):
    """Answered with ``pong``."""

    type: Literal["ping"]


Command = Authenticate | Subscribe | Ping
_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def read_command(text: str) -> Command:
    """Raises ``Invalid`` for what is none."""
    try:
        return _COMMAND.validate_json(text)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error
