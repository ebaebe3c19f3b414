"""The description of the API, completed by what FastAPI can not see.

Bodies are read by the routes themselves (strictly, and after the caller is known), and every
refusal has one shape; both are added here.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from usina.http_kit.problem import ProblemDocument

_REF: Final = "#/components/schemas/{model}"
_DESCRIPTION: Final = """\
Uploads become artifacts: a job runs one model of the catalogue on your files, isolated and
asynchronously, and is followed live.

Send an API key in `x-api-key`, or a token as `Authorization: Bearer`. Errors are
`application/problem+json` (RFC 9457) with a stable `code`. Lists take `limit` and `cursor`.
Creating requests take an `Idempotency-Key`. Times are RFC 3339 in UTC, durations seconds, sizes
bytes.
"""
_TAGS: Final = [
    {"name": "jobs", "description": "Submit, follow, cancel, reopen, delete."},
    {"name": "models", "description": "What can be run here."},
    {"name": "files", "description": "What jobs are run on."},
    {"name": "artifacts", "description": "What jobs have made."},
    {"name": "events", "description": "One log behind every channel."},
    {"name": "avatars", "description": "Customers, their photos, and their erasure."},
    {"name": "cfd", "description": "Packed beds, and the flow through them."},
    {"name": "identity", "description": "Persons, keys, members, the audit log."},
    {"name": "operators", "description": "Workers, queues, schedules."},
    {"name": "operation", "description": "Health, readiness, metrics."},
]


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """The OpenAPI document of the app, with ``bodies`` among its schemas."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="From uploads to artifacts, by heavy programs.",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=_TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(_schemas([ProblemDocument, *bodies]))
    components["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "Token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    document["security"] = [{"ApiKey": []}, {"Token": []}]
    return document


def _schemas(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in models
    ]
    _, definitions = models_json_schema(wanted, ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    schemas["Problem"] = schemas.pop(ProblemDocument.__name__)
    return schemas
