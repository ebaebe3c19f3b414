"""Painting by a Stable Diffusion server: AUTOMATIC1111's ``/sdapi/v1`` and what speaks as it does.

Its progress and its interrupt are those of whatever it does now. So the request is given an id, the
progress is asked for by that id, and an interrupt is sent only while the server says that it works
on it: another's work is never shown and never stopped.
"""

import asyncio
import base64
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from usina.apps.avatars.diffusion import refusal
from usina.apps.avatars.diffusion.engine import ServerPlace
from usina.apps.avatars.diffusion.order import Order
from usina.apps.avatars.diffusion.painter import PAINT_FROM, PAINT_UPTO, as_png, read_painted
from usina.apps.avatars.diffusion.turn import turn
from usina.apps.avatars.diffusion.wire import Made, Standing, TaskStanding
from usina.imaging.array import Bytes
from usina_runner import Failure, Job

SIDE: Final = 512
"""At what size a server paints unless told: that of the models that most have."""

_MOST_BYTES: Final = 64 * 1024**2
_LITTLE_BYTES: Final = 8 * 1024**2
_PROGRESS: Final = "/sdapi/v1/progress?skip_current_image=true"
_NO_ANSWER: Final = frozenset({"server_down", "server_broke_off", "server_silent"})

_Shape = TypeVar("_Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how often to look, how long a connection and a short answer may take, after how
    long without any answer the server is called silent, how long an interrupt may take."""

    look: float = 0.5
    connect: float = 5.0
    answer: float = 10.0
    silence: float = 60.0
    interrupt: float = 0.4


class ServerPainter:
    """A `usina.apps.avatars.diffusion.painter.Painter`."""

    def __init__(self, place: ServerPlace, patience: Patience | None = None) -> None:
        self._place, self._patience = place, patience or Patience()

    def side(self, job: Job, order: Order) -> int:
        return order.side or SIDE

    def paint(self, job: Job, square: Bytes, order: Order) -> Bytes:
        return asyncio.run(self._paint(job, square, order))

    def about(self) -> dict[str, str]:
        return {"engine": "server"}

    async def _paint(self, job: Job, square: Bytes, order: Order) -> Bytes:
        limits = httpx2.Timeout(self._patience.answer, connect=self._patience.connect)
        client = httpx2.AsyncClient(
            base_url=self._place.url, auth=self._place.auth, timeout=limits, trust_env=False
        )
        async with client, turn(self._place.url, job.check_cancelled):
            task = _Task(client, self._patience)
            with job.stage("queue"):
                await task.wait_until_idle(job.check_cancelled)
            with job.stage("paint", upto=PAINT_UPTO):
                body = await task.run(self._request(square, order, task.id), _shown(job))
                return read_painted(job, _data(body), square.shape[0])

    def _request(self, square: Bytes, order: Order, task: str) -> dict[str, Any]:
        """The body of ``/sdapi/v1/img2img``. Nothing of it is kept there."""
        side = square.shape[0]
        request: dict[str, Any] = {
            "init_images": [base64.b64encode(as_png(square)).decode("ascii")],
            "prompt": order.prompt,
            "negative_prompt": order.negative_prompt,
            "denoising_strength": order.strength,
            "cfg_scale": order.guidance_scale,
            "steps": order.rounds,
            "seed": order.seed,
            "width": side,
            "height": side,
            "batch_size": 1,
            "n_iter": 1,
            "send_images": True,
            "save_images": False,
            "force_task_id": task,
        }
        if self._place.sampler is not None:
            request["sampler_name"] = self._place.sampler
        return request


def _shown(job: Job) -> Callable[[float | None], None]:
    """Moves the job as far as the server is; it only looks for a cancel where that is not known."""

    def show(share: float | None) -> None:
        job.check_cancelled()
        if share is not None:
            job.progress(max(job.fraction, PAINT_FROM + (PAINT_UPTO - PAINT_FROM) * share))

    return show


class _Task:
    """One request at the server, known to it by ``id``."""

    def __init__(self, client: httpx2.AsyncClient, patience: Patience) -> None:
        self.id = f"usina-{uuid.uuid4()}"
        self._client, self._patience = client, patience
        self._preview = -1

    async def wait_until_idle(self, between: Callable[[], None]) -> None:
        """Until nobody's work is running: another machine's, or a person's at the server's page."""
        while True:
            between()
            if (await self._ask(Standing, "GET", _PROGRESS)).state.idle:
                return
            await asyncio.sleep(self._patience.look)

    async def run(self, request: dict[str, Any], show: Callable[[float | None], None]) -> bytes:
        """The answer to the request. What ``show`` raises ends it there too."""
        painting = asyncio.create_task(self._post(request))
        clock = asyncio.get_running_loop().time
        heard = clock()
        try:
            while not (await asyncio.wait({painting}, timeout=self._patience.look))[0]:
                show(None)
                try:
                    show(await self._progress())
                    heard = clock()
                except Failure as failure:
                    heard = heard if failure.reason in _NO_ANSWER else clock()
                    if clock() - heard > self._patience.silence:
                        raise refusal.silent(self._patience.silence) from None
            return painting.result()
        except BaseException:
            if not painting.done():
                await self._interrupt()
            raise
        finally:
            painting.cancel()
            await asyncio.wait({painting})

    async def _post(self, request: dict[str, Any]) -> bytes:
        """Reads as long as the server paints; the job's own time is the limit."""
        long = httpx2.Timeout(None, connect=self._patience.connect)
        return await self._send(
            "POST", "/sdapi/v1/img2img", _MOST_BYTES, json=request, timeout=long
        )

    async def _progress(self) -> float | None:
        """How far our request is, 0 to 1; null while it is another's turn, or nobody can tell."""
        asked = {"id_task": self.id, "id_live_preview": self._preview}
        try:
            told = await self._ask(TaskStanding, "POST", "/internal/progress", json=asked)
        except Failure as failure:
            if failure.reason in _NO_ANSWER:
                raise
            return await self._progress_of_all()
        self._preview = self._preview if told.id_live_preview is None else told.id_live_preview
        return told.progress if told.active else None

    async def _progress_of_all(self) -> float | None:
        """The server's one progress, believed only where it says whose it is."""
        told = await self._ask(Standing, "GET", _PROGRESS)
        return told.progress if told.current_task == self.id else None

    async def _interrupt(self) -> None:
        """Sent only while the server works on ours; it must not hold up the end of a job."""
        with contextlib.suppress(Failure, TimeoutError):
            async with asyncio.timeout(self._patience.interrupt):
                if await self._progress() is not None:
                    await self._send("POST", "/sdapi/v1/interrupt", _LITTLE_BYTES)

    async def _ask(self, shape: type[_Shape], method: str, path: str, **options: Any) -> _Shape:
        return _read(shape, await self._send(method, path, _LITTLE_BYTES, **options))

    async def _send(self, method: str, path: str, most: int, **options: Any) -> bytes:
        """The body of an answer with 200; raises ``Failure`` for everything else."""
        body = bytearray()
        try:
            async with self._client.stream(method, path, **options) as answer:
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > most:
                        raise refusal.too_large(most)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise refusal.down(error) from None
        except httpx2.TimeoutException:
            raise refusal.silent(self._patience.answer) from None
        except httpx2.HTTPError as error:
            raise refusal.broken_off(error) from None
        if answer.status_code != 200:
            raise refusal.refusal(answer.status_code, bytes(body))
        return bytes(body)


def _read(shape: type[_Shape], body: bytes) -> _Shape:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        kind = error.errors()[0]["type"]
        what = "something that is no JSON" if kind == "json_invalid" else "other fields than it has"
        raise refusal.bad_answer(what) from None


def _data(body: bytes) -> bytes:
    """The file of the picture in an answer."""
    try:
        made = Made.model_validate_json(body)
        return base64.b64decode(made.images[0].rpartition(",")[2], validate=True)
    except ValidationError:
        raise refusal.bad_answer("no picture") from None
    except ValueError:
        raise refusal.bad_answer("a picture that is no base64") from None
