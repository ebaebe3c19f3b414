"""What a Stable Diffusion server answers, as far as it is looked at."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field


def _share(told: object) -> object:
    return min(1.0, max(0.0, told)) if isinstance(told, int | float) else 0.0


Share = Annotated[float, BeforeValidator(_share)]


class State(BaseModel):
    job: str = ""
    job_count: int = 0

    @property
    def idle(self) -> bool:
        return not self.job and not self.job_count


class Standing(BaseModel):
    """Of ``/sdapi/v1/progress``: what the server does now, for whomever."""

    state: State
    progress: Share = 0.0
    current_task: str | None = None


class TaskStanding(BaseModel):
    """Of ``/internal/progress``, which is asked for one task."""

    active: bool
    progress: Share = 0.0
    id_live_preview: int | None = None


class Made(BaseModel):
    """Of ``/sdapi/v1/img2img``."""

    images: Annotated[list[str], Field(min_length=1)]


class Trouble(BaseModel):
    """Of a refusal: FastAPI's own has only ``detail``, the server's the kind of error too."""

    error: Any = None
    detail: Any = None
    errors: Any = None
