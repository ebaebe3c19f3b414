"""What a submit says, before the kernel looks at it. Strict: no field is guessed or converted."""

from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from usina.kernel.jobs.job import JobRequest

MOST_JOBS = 1000


def _ids(value: object) -> str | list[str]:
    """One id or a list of them; whether they are there is for the kernel to say."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in cast(list[object], value)):
        return cast(list[str], value)
    raise PydanticCustomError("input_ids", "An input is the id of a file or artifact, or a list.")


InputIds = Annotated[
    str | list[str],
    PlainValidator(_ids),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Submission(BaseModel):
    """A job to be."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "model": "inflate-v1",
                "params": {"texture_size": 1024},
                "inputs": {"image": "01981c3e-1b2c-7a55-8e11-5d6c7b8a9f00"},
                "labels": {"k": "v"},
            }
        },
    )

    model: str = Field(description="A name of the catalogue.")
    params: dict[str, Any] = Field({}, description="By the model's `params_schema`.")
    inputs: dict[str, InputIds] = Field(
        {}, description="By input name: the id of a file or artifact, or a list of them."
    )
    priority: int = Field(
        0,
        description="Orders the jobs of one organization only.",
        json_schema_extra={"minimum": -100, "maximum": 100},
    )
    max_attempts: int = Field(3, json_schema_extra={"minimum": 1, "maximum": 20})
    timeout_seconds: float | None = Field(
        None,
        description="Of one attempt's running time; the model's when null.",
        json_schema_extra={"minimum": 1},
    )
    callback_url: str | None = Field(
        None, description="Told of each end of the job: see webhooks in the reference."
    )
    strict: bool = Field(
        False, description="Fail when a gate of the model is not passed, or could not be checked."
    )
    reuse: bool = Field(
        False,
        description="Take an earlier result of the same work, where the model is deterministic.",
    )
    labels: dict[str, str] = Field(
        {},
        description="Keys of 1 to 64 characters, values of at most 256.",
        json_schema_extra={"maxProperties": 64},
    )

    def request(self, pointer: str = "") -> JobRequest:
        """The same for the kernel; ``pointer`` is where this stands in the request's body."""
        return JobRequest(
            model=self.model,
            params=self.params,
            inputs=self.inputs,
            priority=self.priority,
            max_attempts=self.max_attempts,
            timeout_seconds=self.timeout_seconds,
            labels=self.labels,
            strict=self.strict,
            reuse=self.reuse,
            callback_url=self.callback_url,
            pointer=pointer,
        )


class BatchSubmission(BaseModel):
    """Jobs to be, in one transaction: all or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    jobs: list[Submission] = Field(min_length=1, max_length=MOST_JOBS)

    def requests(self) -> list[JobRequest]:
        return [job.request(f"/jobs/{place}") for place, job in enumerate(self.jobs)]


SUBMISSION: TypeAdapter[Submission] = TypeAdapter(Submission)
BATCH: TypeAdapter[BatchSubmission] = TypeAdapter(BatchSubmission)
