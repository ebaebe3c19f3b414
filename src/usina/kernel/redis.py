"""Redis, spoken to in one place: channels between the processes of one platform.

Nothing that Redis holds or carries is the truth. It may be empty, absent or slow: what is sent then
is lost, and whoever waited for it looks in the database a little later.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import redis
import structlog
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

if TYPE_CHECKING:
    from limits.aio.storage import Storage

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_ANSWER_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.5


class Channels:
    """Sends on any channel to every process that hears it, and hears the one that is ``its_own``.

    ``heard`` is given each message of that one, our own included; ``joined`` is called whenever
    hearing begins (again), since what was sent before is gone.
    """

    def __init__(
        self, url: str, its_own: str, heard: Callable[[bytes], None], joined: Callable[[], None]
    ) -> None:
        self._redis = _client(url)
        self._its_own = its_own
        self._heard = heard
        self._joined = joined
        self._hearing: asyncio.Task[None] | None = None
        self._heard_so_far = 0
        self.answers = False
        """Whether Redis answered when it was last spoken to."""
        self._told_of_loss = False

    def start(self) -> None:
        self._hearing = asyncio.create_task(self._hear_for_ever())

    async def stop(self) -> None:
        while self._hearing is not None and not self._hearing.done():
            self._hearing.cancel()  # again, where a connection on its way has swallowed it
            await asyncio.wait([self._hearing], timeout=_AGAIN_SECONDS)
        await self._redis.aclose()

    async def send(self, told: Mapping[str, bytes]) -> bool:
        """One message for each channel, all in one way. False when they were lost; it then waits a
        moment, so that nobody hammers what is away."""
        try:
            async with self._redis.pipeline(transaction=False) as way:
                for channel, message in told.items():
                    way.publish(channel, message)  # pyright: ignore[reportUnknownMemberType]
                await way.execute()
        except (RedisError, OSError) as error:
            self._lost(error)
            await asyncio.sleep(_AGAIN_SECONDS)
            return False
        self._answered()
        return True

    async def _hear_for_ever(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as subscription:  # pyright: ignore[reportUnknownMemberType]
                    await subscription.subscribe(self._its_own)  # pyright: ignore[reportUnknownMemberType]
                    await self._hear(subscription)
            except (RedisError, OSError) as error:
                self._lost(error)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear(self, subscription: Any) -> None:
        """Until the connection breaks, or is silent even when it is asked whether it lives."""
        async with asyncio.timeout(None) as patience:
            watching = asyncio.create_task(self._watch(subscription, patience))
            try:
                while True:
                    told = await subscription.get_message(timeout=None)
                    self._heard_so_far += 1
                    if told is None:
                        continue
                    if told["type"] == "subscribe":
                        self._answered()
                        self._joined()
                    elif told["type"] == "message":
                        self._heard(told["data"])
            finally:
                watching.cancel()

    async def _watch(self, subscription: Any, patience: asyncio.Timeout) -> None:
        """A watch beside the hearing costs less than a limit on each message."""
        while True:
            so_far = self._heard_so_far
            await asyncio.sleep(_SILENCE_SECONDS)
            if self._heard_so_far == so_far:
                with contextlib.suppress(RedisError, OSError):  # which the hearing hears of as well
                    await subscription.ping()
                await asyncio.sleep(_SILENCE_SECONDS)
            if self._heard_so_far == so_far:
                patience.reschedule(asyncio.get_running_loop().time())

    def _answered(self) -> None:
        self.answers = True
        self._told_of_loss = False

    def _lost(self, error: Exception) -> None:
        if not self._told_of_loss:
            _log.warning("Redis does not answer; work goes on more slowly", error=repr(error))
        self.answers = False
        self._told_of_loss = True


class Counts:
    """Counts that processes share, for :mod:`usina.kernel.limits`; what is away raises soon."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = _client(url)
        self._prefix = prefix

    @cached_property
    def storage(self) -> "Storage":
        from limits.aio.storage import RedisStorage  # loading it costs more than a start may

        pool: Any = self._redis.connection_pool
        return RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=self._prefix,
            connection_pool=pool,
        )

    async def close(self) -> None:
        await self._redis.aclose()


def _client(url: str) -> Redis:
    """One that says soon that it is not answered."""
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # its **kwargs
        url,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        client_name="usina",
    )


def look_at_redis(url: str) -> tuple[str, str]:
    """The server's version and what it drops when its memory is full; raises what the way to it
    raises."""
    client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # its **kwargs
        url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
    )
    with client:
        info: Any = client.info()  # pyright: ignore[reportUnknownMemberType]
    return str(info["redis_version"]), str(info["maxmemory_policy"])
