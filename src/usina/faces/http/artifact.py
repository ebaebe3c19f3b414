"""Artifacts: described, and served to whoever has a key or a signed link."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from usina.http_kit.bytes import BYTES_ANSWERS, BytesResponse, StoredBytes, content_headers
from usina.http_kit.call import Call, needs, permitted, platform_of
from usina.http_kit.job import ArtifactDocument, artifact_document
from usina.http_kit.links import is_signed, verify
from usina.http_kit.problem import problems
from usina.http_kit.reply import json_response
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/artifacts", tags=["artifacts"])

Reading = Annotated[Call, needs(Permission.JOBS_READ)]

ArtifactId = Annotated[
    str, Path(description="The artifact's id.", json_schema_extra={"format": "uuid"})
]
_SIGNED: Final[dict[str, Any]] = {
    "security": [{"ApiKey": []}, {"Token": []}, {}],
    "parameters": [
        {
            "in": "query",
            "name": name,
            "required": False,
            "schema": {"type": kind},
            "description": text,
        }
        for name, kind, text in (
            ("expires", "integer", "Of a signed link."),
            ("signature", "string", "Of a signed link."),
            ("redirect", "integer", "1: by a redirect where the store is S3; else no difference."),
        )
    ],
}


@router.get(
    "/{artifact_id}",
    summary="Get an artifact's description",
    response_model=ArtifactDocument,
    responses=problems(401, 403, 404),
)
async def get_artifact(artifact_id: ArtifactId, call: Reading) -> Response:
    """Kind, name, sniffed type, size and hash, and a signed link to the bytes."""
    artifact = await call.platform.artifacts.get(call.organization_id, artifact_id)
    return json_response(artifact_document(artifact, call.link))


@router.get(
    "/{artifact_id}/content",
    summary="Get an artifact's bytes",
    response_class=Response,
    responses={
        **BYTES_ANSWERS,
        302: {"description": "They are there: asked for with `redirect=1`, and the store is S3."},
        **problems(401, 403, 404, 410, 416),
    },
    openapi_extra=_SIGNED,
)
async def get_artifact_content(artifact_id: ArtifactId, request: Request) -> Response:
    """With a key, or by a signed link without one (an `<img>` can use it)."""
    artifacts = platform_of(request).artifacts
    artifact = await _asked_for(artifact_id, request)
    stored = StoredBytes(
        name=artifact.name,
        media_type=artifact.media_type,
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        read=lambda start, stop: artifacts.read(artifact, start, stop),
    )
    if request.query_params.get("redirect") == "1" and not stored.is_known(request.headers):
        content_type, disposition = content_headers(artifact.name, artifact.media_type)
        seconds = platform_of(request).settings.link_seconds
        moved = await artifacts.presigned(artifact, seconds, content_type, disposition)
        if moved is not None:
            return RedirectResponse(moved.url, 302, {"cache-control": "no-store"})
    return BytesResponse(stored)


async def _asked_for(artifact_id: str, request: Request) -> Artifact:
    platform = platform_of(request)
    query: bytes = request.scope["query_string"]
    if is_signed(query):
        verify(platform.secret, request.scope["path"], query)
        return await platform.artifacts.signed(artifact_id)
    call = await permitted(request, Permission.JOBS_READ)
    return await platform.artifacts.get(call.organization_id, artifact_id)
