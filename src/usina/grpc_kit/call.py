"""Who calls over gRPC: the key is in the metadata."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import grpc.aio

from usina.http_kit.call import Call, call_with
from usina.kernel.platform import Platform


@dataclass(frozen=True, slots=True)
class Rpc(Call):
    """An authenticated call of a method; ``metadata`` holds the texts that came with it."""

    metadata: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


async def rpc_of(
    platform: Platform, metadata: Mapping[str, str], peer: str, request_id: str
) -> Rpc:
    """The call with this metadata; raises ``Unauthorized`` and ``TooMany``.

    ``peer`` is as gRPC tells it, such as ``ipv4:127.0.0.1:50000``.
    """
    address = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
    scope = {"client": (address, 0), "request_id": request_id}
    credential = metadata.get("x-api-key"), metadata.get("authorization")
    call = await call_with(platform, *credential, scope)
    return Rpc(platform, call.caller, call.address, request_id, credential, metadata)


def texts_of(context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, str]:
    """The metadata that is text; of a name that stands there twice, the last."""
    return {
        name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)
    }
