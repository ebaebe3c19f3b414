"""A gRPC service as a room declares it, and how the face serves it.

A room says by ``App.grpc`` where its service is. A handler gets the request and the call, as a
route does; who calls, refusals, the request id and the log line are seen to here.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from usina.grpc_kit.call import Rpc, rpc_of, texts_of
from usina.grpc_kit.patience import patient
from usina.grpc_kit.refusal import detail_of, status_of, trailing
from usina.kernel.activity import Activity
from usina.kernel.errors import Malformed, Problem
from usina.kernel.ids import request_id
from usina.kernel.platform import Platform
from usina.kernel.tenancy.permission import Permission

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_SEND_SECONDS: Final = 60.0

Sent = Message | bytes
"""A message, or the bytes of one that was made before for somebody else."""

Context = grpc.aio.ServicerContext[bytes, Sent]


@dataclass(frozen=True, slots=True)
class Unary:
    """One request, one answer, for callers that have the permission."""

    request: type[Message]
    permission: Permission
    answer: Callable[[Any, Rpc], Awaitable[Sent]]


@dataclass(frozen=True, slots=True)
class Stream:
    """One request, many answers. ``open`` refuses, or returns what makes them; the client is then
    told that its stream has begun."""

    request: type[Message]
    permission: Permission
    open: Callable[[Any, Rpc], Awaitable[AsyncGenerator[Sent]]]


@dataclass(frozen=True, slots=True)
class Service:
    """A service by its descriptor, ``some_pb2.DESCRIPTOR.services_by_name["Name"]``; ``methods``
    holds every one of it by name."""

    descriptor: ServiceDescriptor
    methods: Mapping[str, Unary | Stream]

    @property
    def name(self) -> str:
        """In full, such as ``usina.v1.Jobs``."""
        return self.descriptor.full_name


def handler_of(service: Service, platform: Platform, activity: Activity) -> grpc.GenericRpcHandler:
    """The service as gRPC's server takes it."""
    declared = {method.name for method in service.descriptor.methods}
    assert declared == service.methods.keys(), f"{service.name}: {declared ^ {*service.methods}}"
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for name, method in service.methods.items():
        serving = _Serving(platform, activity, f"/{service.name}/{name}", method)
        if isinstance(method, Unary):
            make, serve = grpc.unary_unary_rpc_method_handler, serving.unary
        else:
            make, serve = grpc.unary_stream_rpc_method_handler, serving.stream
        # Both sides are bytes: what is malformed is refused by us, and a message that many
        # followers get is serialized once.
        handlers[name] = make(serve, None, _serialized)
    return grpc.method_handlers_generic_handler(service.name, handlers)


def _serialized(message: Sent) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


@dataclass(frozen=True, slots=True)
class _Serving:
    """One method, with all that happens around it."""

    platform: Platform
    activity: Activity
    path: str
    method: Unary | Stream

    async def unary(self, request: bytes, context: Context) -> Sent:
        assert isinstance(self.method, Unary)
        answer = self.method.answer

        async def work(rpc: Rpc) -> Sent:
            return await answer(_parsed(self.method.request, request), rpc)

        return await self._around(work, context)

    async def stream(self, request: bytes, context: Context) -> None:
        assert isinstance(self.method, Stream)
        begin = self.method.open

        async def work(rpc: Rpc) -> None:
            messages = await begin(_parsed(self.method.request, request), rpc)
            async with aclosing(messages):
                await context.send_initial_metadata(())
                async with patient(context.write, _SEND_SECONDS) as send:
                    async for message in messages:
                        await send(message)

        await self._around(work, context)

    async def _around(self, work: Callable[[Rpc], Awaitable[Any]], context: Context) -> Any:
        metadata = texts_of(context)
        own_id = request_id(metadata.get("x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=own_id)
        told = (("x-request-id", own_id),)
        context.set_trailing_metadata(told)
        began, status = time.perf_counter(), grpc.StatusCode.CANCELLED
        try:
            with self.activity:
                rpc = await rpc_of(self.platform, metadata, context.peer(), own_id)
                rpc.caller.require(self.method.permission)
                result = await work(rpc)
            status = grpc.StatusCode.OK
        except Problem as problem:
            refusal, status = problem, status_of(problem)
        except Exception:
            _log.exception("rpc failed", method=self.path)
            refusal = Problem("Something went wrong here; the log has it by the request id.")
            status = status_of(refusal)
        else:
            return result
        finally:
            seconds = round(time.perf_counter() - began, 6)
            _log.info("rpc", method=self.path, status=status.name, seconds=seconds)
        return await context.abort(status, detail_of(refusal), (*trailing(refusal), *told))


def _parsed(kind: type[Message], data: bytes) -> Message:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Malformed(
            f"This is no {kind.DESCRIPTOR.full_name}.", code="malformed_message"
        ) from None
