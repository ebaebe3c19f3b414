"""Submitting jobs: one or a batch as JSON, or one with its files as multipart."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from usina.faces.http.form import read_form
from usina.faces.http.submission import BATCH, SUBMISSION
from usina.http_kit.body import media_type, read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.idempotent import KEY_PARAMETER, Once, fingerprint, once
from usina.http_kit.job import JobDocument, job_document
from usina.http_kit.multipart import MULTIPART
from usina.http_kit.problem import problems
from usina.http_kit.reply import answer_response, json_answer
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Problem
from usina.kernel.idempotency.service import Answer
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

Writing = Annotated[Call, needs(Permission.JOBS_WRITE)]

_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The files as parts named after the inputs, the rest as text fields.",
    "required": ["model"],
    "properties": {
        "model": {"type": "string"},
        "params": {"type": "string", "contentMediaType": "application/json"},
        "labels": {"type": "string", "contentMediaType": "application/json"},
        "priority": {"type": "integer"},
        "max_attempts": {"type": "integer"},
        "timeout_seconds": {"type": "number"},
        "strict": {"type": "boolean"},
        "reuse": {"type": "boolean"},
        "callback_url": {"type": "string", "format": "uri"},
    },
    "additionalProperties": {"type": "string", "format": "binary"},
}


class BatchDocument(BaseModel):
    items: list[JobDocument]


@router.post(
    "",
    summary="Submit a job",
    status_code=202,
    response_model=JobDocument,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Submission"}},
                MULTIPART: {"schema": _FORM},
            },
        },
    },
)
async def submit_job(request: Request, call: Writing) -> Response:
    """Accepted means committed: from the 202 on, the job ends exactly once.

    As multipart, the files themselves are parts named after the inputs: one call from a file on
    disk to a running job.
    """
    if media_type(request) == MULTIPART:
        return await _submit_form(request, call)
    with once(request, call) as asked:
        limit = call.platform.settings.max_body_bytes
        submission, body = await read_json(request, SUBMISSION, limit)
        replay = await asked.replay(fingerprint(body))
        return replay or await _submit(call, asked, [submission.request()], _one)


@router.post(
    "/batch",
    summary="Submit many jobs",
    status_code=202,
    response_model=BatchDocument,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchSubmission"}}
            },
        },
    },
)
async def submit_batch(request: Request, call: Writing) -> Response:
    """Up to 1 000 jobs in one transaction: all or none."""
    with once(request, call) as asked:
        limit = call.platform.settings.max_body_bytes
        batch, body = await read_json(request, BATCH, limit)
        replay = await asked.replay(fingerprint(body))
        return replay or await _submit(call, asked, batch.requests(), _many)


async def _submit_form(request: Request, call: Call) -> Response:
    """Refused, or answered before, it leaves no file."""
    files, limit = call.platform.files, call.platform.settings.max_body_bytes
    with once(request, call) as asked:
        async with files.reception(call.organization_id) as reception:
            form = await read_form(request, reception, limit)
            if (replay := await asked.replay(form.fingerprint)) is not None:
                return replay
            wanted = form.submission().request()
            database = call.platform.database
            await database.write(reception.insert, tenant=call.organization_id)
        try:
            return await _submit(call, asked, [wanted], _one)
        except Problem:
            for file in reception.files:
                await files.delete(call.caller, file.id)
            raise


async def _submit(
    call: Call,
    asked: Once,
    requests: Sequence[JobRequest],
    answer_of: Callable[[Sequence[Job], Call], Answer],
) -> Response:
    """Submits, and keeps the answer in the same transaction where the request has a key."""
    answer: Answer | None = None

    def keep(tx: Transaction, jobs: list[Job]) -> None:
        nonlocal answer
        answer = answer_of(jobs, call)
        asked.record(tx, answer)

    jobs = await call.platform.jobs.submit(call.caller, requests, keep if asked.keyed else None)
    return answer_response(answer or answer_of(jobs, call))


def _one(jobs: Sequence[Job], call: Call) -> Answer:
    location = {"location": f"/api/v1/jobs/{jobs[0].id}"}
    return json_answer(job_document(jobs[0], call.link), 202, location)


def _many(jobs: Sequence[Job], call: Call) -> Answer:
    return json_answer({"items": [job_document(job, call.link) for job in jobs]}, 202)
