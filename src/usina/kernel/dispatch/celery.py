"""Celery: how a queue of work reaches a worker's machine, and what operators already know.

A message names a queue, not a job, and holds nothing: it is acknowledged when it arrives, and its
result is ignored. Losing, repeating or reordering messages costs time. Messages are published by a
thread, never by the event loop, and at most a few lie in a queue however much work there is.
"""

import queue
import threading
import time
from collections.abc import Sequence
from queue import Empty
from typing import Any, Final

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as redis_transport
from redis import Redis
from redis.exceptions import RedisError

from usina.kernel.dispatch.hint import BusDispatch
from usina.kernel.events.bus import Bus
from usina.kernel.failpoints import reach

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
WORK: Final = "usina.work"
_TOGETHER_SECONDS: Final = 0.5
"""Between messages: the bus has long woken whoever hears it, and a look for nothing costs one who
works more than half a second costs one whom only a message brings."""

_ENOUGH: Final = 16
_ANSWER_SECONDS: Final = 2.0
_EXPIRES_SECONDS: Final = 300


class _Channel(redis_transport.Channel):
    """Leaves out what lies in a queue and is no message; Celery's worker would end with it.

    Puts nothing back when it is closed: a message holds nothing, and a channel whose connection was
    lost, which would try, ends the worker as well.
    """

    do_restore = False

    def basic_ack(self, delivery_tag: Any, multiple: bool = False) -> None:
        """Tells nobody where the connection was lost meanwhile; that would end the worker too."""
        connection: Any = self.connection
        if connection is not None:
            celerys: Any = super()
            celerys.basic_ack(delivery_tag, multiple)

    def _brpop_read(self, **options: Any) -> bool:
        celerys: Any = super()
        try:
            return bool(celerys._brpop_read(**options))
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("what is no message lay in a queue of Celery", error=repr(error))
            raise Empty from None


class Transport(redis_transport.Transport):
    """Celery's way to Redis, past what others put there."""

    Channel = _Channel


TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:Transport"


def key_prefix(platform_id: str) -> str:
    """What all keys and channels of a platform's Celery begin with."""
    return f"usina:{platform_id}:"


def make_celery(redis_url: str, queues: Sequence[str], platform_id: str) -> Celery:
    """A Celery application that takes from these queues; it waits for Redis as long as it must.

    Of one Redis several platforms may be served: none hears another's words.
    """
    broker = redis_url.replace("unix://", "redis+socket://", 1)  # as Celery writes it
    app = Celery("usina", broker=broker, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(name) for name in queues],
        task_default_queue=queues[0],
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry=False,
        worker_pool="threads",
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "global_keyprefix": key_prefix(platform_id),
            "socket_timeout": _ANSWER_SECONDS,
            "socket_connect_timeout": _ANSWER_SECONDS,
        },
        enable_utc=True,
    )
    return app


class CeleryDispatch(BusDispatch):
    """Tells the workers over the bus at once, and through Celery those that the bus has missed."""

    def __init__(self, bus: Bus, redis_url: str, queues: Sequence[str], platform_id: str) -> None:
        super().__init__(bus)
        self._publisher = _Publisher(redis_url, queues, platform_id)

    def work(self, queue: str) -> None:
        super().work(queue)
        self._publisher.tell(queue)

    def close(self) -> None:
        self._publisher.close()


class _Publisher:
    """A thread that publishes what it is told, as one message where many come together."""

    def __init__(self, redis_url: str, queues: Sequence[str], platform_id: str) -> None:
        self._app = make_celery(redis_url, queues, platform_id)
        self._prefix = key_prefix(platform_id)
        self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # its **kwargs
            redis_url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
        )
        self._told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="usina-celery", daemon=True)
        self._thread.start()

    def tell(self, name: str) -> None:
        self._told.put(name)

    def close(self) -> None:
        self._told.put(None)
        self._thread.join(2 * _ANSWER_SECONDS)
        self._redis.close()
        self._app.close()

    def _run(self) -> None:
        answers = True
        while (first := self._told.get()) is not None:
            names, end = self._gathered(first)
            try:
                for name in names:
                    self._publish(name)
                answers = True
            except (RedisError, OperationalError, OSError) as error:
                if answers:
                    _log.warning("Celery's broker does not answer", error=repr(error))
                answers = False
            if end:
                return
            time.sleep(_TOGETHER_SECONDS)

    def _gathered(self, first: str) -> tuple[set[str], bool]:
        names = {first}
        while not self._told.empty():
            name = self._told.get()
            if name is None:
                return names, True
            names.add(name)
        return names, False

    def _publish(self, name: str) -> None:
        """Unless enough messages lie there already: whoever takes one works until none is left."""
        if self._redis.llen(self._prefix + name) < _ENOUGH:
            reach("celery.before_publish")
            self._app.send_task(WORK, args=[name], queue=name, expires=_EXPIRES_SECONDS)
            reach("celery.after_publish")
