"""API keys: made, listed, revoked."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import JsonMoment, parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.tenancy.api_key import ApiKey, Wanted
from usina.kernel.tenancy.permission import EVERYTHING, SCOPES, Permission

router = APIRouter(prefix="/api/v1/api-keys", tags=["identity"])

Reading = Annotated[Call, needs(Permission.KEYS_READ)]
Writing = Annotated[Call, needs(Permission.KEYS_WRITE)]

_MOST_BYTES: Final = 64 * 1024
KeyId = Annotated[str, Path(description="The key's id.", json_schema_extra={"format": "uuid"})]


class KeyRequest(BaseModel):
    """A key to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 200})
    scopes: list[str] = Field(
        [EVERYTHING],
        max_length=100,
        description=f"Of {', '.join(SCOPES)}.",
        json_schema_extra={"minItems": 1},
    )
    expires_at: JsonMoment | None = None


class KeyDocument(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    prefix: str = Field(description="How it begins, to tell it by.")
    scopes: list[str]
    created_by: str | None = Field(description="A person's name; null for nobody's.")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="At most a minute behind.")


class NewKeyDocument(KeyDocument):
    secret: str = Field(description="The key itself; shown only now.")


_KEY: Final = TypeAdapter(KeyRequest)


@router.get(
    "",
    summary="List API keys",
    response_model=PageDocument[KeyDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_keys(request: Request, call: Reading) -> Response:
    """One's own; with `organization:admin` everybody's."""
    query = read_query(request, PageQuery)
    after = decode_cursor("api-keys", query.cursor)
    page = await call.platform.api_keys.list(call.caller, after, query.limit)
    return json_response(answer_page("api-keys", page, _document))


@router.post(
    "",
    summary="Make an API key",
    status_code=201,
    response_model=NewKeyDocument,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 409, 413, 415, 422),
    },
    openapi_extra={"parameters": [KEY_PARAMETER], **json_body(KeyRequest)},
)
async def create_key(request: Request, call: Writing) -> Response:
    """The answer shows the secret, a replay of it does not."""
    with once(request, call) as asked:
        wanted, body = await read_json(request, _KEY, _MOST_BYTES)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay

        def keep(tx: Transaction, made: ApiKey) -> None:
            asked.record(tx, json_answer(_document(made), 201, _location(made)))

        key = Wanted(wanted.name, tuple(wanted.scopes), wanted.expires_at)
        made, secret = await call.platform.api_keys.create(call.caller, key, call.actor, keep)
        shown = _document(made) | {"secret": secret}
        headers = _location(made) | {"cache-control": "no-store"}
        return answer_response(json_answer(shown, 201, headers))


@router.delete(
    "/{key_id}", summary="Revoke an API key", status_code=204, responses=problems(401, 403, 404)
)
async def revoke_key(key_id: KeyId, call: Writing) -> Response:
    """It is refused from now on, in every process."""
    await call.platform.api_keys.revoke(call.caller, key_id, call.actor)
    return Response(status_code=204)


def _location(key: ApiKey) -> dict[str, str]:
    return {"location": f"{router.prefix}/{key.id}"}


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "created_by": key.created_by,
        "created_at": rfc3339(key.created_at),
        "expires_at": key.expires_at and rfc3339(key.expires_at),
        "last_used_at": key.last_used_at and rfc3339(key.last_used_at),
    }
