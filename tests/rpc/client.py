"""A client of `usina.v1.Jobs`, as one would be generated from its proto."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest

from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb

METHODS: Mapping[str, tuple[Any, Any]] = {
    "Submit": (pb.SubmitRequest, pb.Job),
    "Get": (pb.GetRequest, pb.Job),
    "Watch": (pb.WatchRequest, pb.Event),
    "Cancel": (pb.CancelRequest, pb.Job),
}


@dataclass(frozen=True)
class Client:
    """One organization's calls."""

    channel: grpc.aio.Channel
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    def call(self, name: str, request: Any, timeout: float | None = 30, **more: str) -> Any:
        """The method's call; a request of bytes is sent as it is."""
        _, answer = METHODS[name]
        make = self.channel.unary_stream if name == "Watch" else self.channel.unary_unary
        method = make(f"/usina.v1.Jobs/{name}", _sent, answer.FromString)
        given = {**self.metadata, **{key.replace("_", "-"): value for key, value in more.items()}}
        return method(request, timeout=timeout, metadata=tuple(given.items()))

    async def submit(self, model: str = "echo-v1", **params: Any) -> pb.Job:
        request = pb.SubmitRequest(model=model)
        request.params.update(params)
        return await self.call("Submit", request)

    async def get(self, job_id: str, wait_seconds: float = 0) -> pb.Job:
        return await self.call("Get", pb.GetRequest(job_id=job_id, wait_seconds=wait_seconds))

    async def cancel(self, job_id: str) -> pb.Job:
        return await self.call("Cancel", pb.CancelRequest(job_id=job_id))

    async def watch(self, job_id: str = "", cursor: str = "") -> AsyncGenerator[pb.Event]:
        call = self.call("Watch", pb.WatchRequest(job_id=job_id, cursor=cursor))
        try:
            async for event in call:
                yield event
        finally:
            call.cancel()

    async def told(self, job_id: str, cursor: str = "") -> list[pb.Event]:
        """What of the log is told, to the end of the stream."""
        return [event async for event in self.watch(job_id, cursor) if event.id]


def _sent(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


@dataclass
class Refusal:
    """What a refused call was told."""

    status: str = ""
    code: str = ""
    detail: str = ""
    trailing: Mapping[str, Any] = field(default_factory=dict[str, Any])


class refused:  # noqa: N801  # reads as a word of the test
    """The call in the block is refused; what it is told then stands in the target."""

    def __enter__(self) -> Refusal:
        self._found = Refusal()
        self._raises = pytest.raises(grpc.aio.AioRpcError)
        self._info = self._raises.__enter__()
        return self._found

    def __exit__(self, *about: Any) -> bool:
        caught = self._raises.__exit__(*about)
        error = self._info.value
        trailing = dict(error.trailing_metadata() or ())
        self._found.status = error.code().name
        self._found.code = str(trailing.get("code", ""))
        self._found.detail = error.details() or ""
        self._found.trailing = trailing
        return caught
