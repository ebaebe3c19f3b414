"""``usina worker``, and plain ``celery -A usina.worker worker -P threads``: the same worker.

Celery has the main thread: signals, the broker, remote control, Flower. One event loop, in a thread
of its own, has the database, the leases, the programs and the slots. A Celery task only asks it to
look at a queue; it looks by itself as well, so a worker that no message reaches works all the same.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Final

import structlog
import uvloop
from celery import Celery, bootsteps
from celery.concurrency.thread import TaskPool
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker import state

from usina.catalogue import registry_of
from usina.faces.cli.failure import CommandError
from usina.faces.cli.setting import settings_with
from usina.ground import (
    CanNotStart,
    distributed_ground,
    platform_id_of,
    redis_of,
    show_metrics,
)
from usina.identity import refuse_weak_secret
from usina.kernel.db.session import Session
from usina.kernel.dispatch.celery import WORK, make_celery
from usina.kernel.jobs.store.death import session_name
from usina.kernel.queue import QUEUES
from usina.kernel.telemetry import configure_logging
from usina.kernel.worker.worker import Worker
from usina.settings import Settings
from usina.workforce import load_ahead, make_worker, own_place

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_LOOK_SECONDS: Final = 2.0
_CELERY_SECONDS: Final = 3.0
"""For Celery's own end, once our worker has come to its. It says good-bye to a broker over several
connections, each of which may be waited for in vain; nothing that it holds is missed by anybody."""
_COMMAND: Final = "celery -A usina.worker worker -P threads"


def work(settings: Settings, queues: Sequence[str] = QUEUES) -> int:
    """Works until TERM or Ctrl-C; returns the exit code."""
    try:
        refuse_weak_secret(settings, needed=False)
        started = _silent(celery_of(settings))(
            pool="threads",
            concurrency=settings.slots,
            queues=list(queues),
            hostname=node_name(),
            loglevel=settings.log_level.upper(),
            quiet=True,
        )
        started.start()
        if isinstance(started.exitcode, str):  # what a step of Celery's start left with
            raise CanNotStart(started.exitcode)
    except CanNotStart as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return int(started.exitcode or 0)


def node_name() -> str:
    """What Celery calls this process: one of its kind among all machines, containers too."""
    return f"worker-{os.getpid()}@{socket.gethostname()}"


def celery_of(settings: Settings) -> Celery:
    """The Celery application whose worker is ours; asks the database whose its keys are, and raises
    :class:`CanNotStart` where it can not."""
    configure_logging(settings.log_level, settings.log_format, sql=settings.log_sql)
    setup_logging.connect(_keep_logging, weak=False)
    celeryd_init.connect(_refuse_unknown_queues, weak=False)
    beat_init.connect(_refuse_beat, weak=False)
    warnings.filterwarnings("ignore", "You're running the worker with superuser")  # JSON alone
    app = make_celery(redis_of(settings), QUEUES, platform_id_of(settings))
    app.conf.worker_concurrency = settings.slots
    hall = Hall(settings)

    def close(**_: Any) -> None:
        hall.close()

    def told(**_: Any) -> None:
        hall.told_to_stop()

    class Step(bootsteps.StartStopStep):
        """The hall opens after Celery's threads and closes before them."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **options: Any) -> None:
            if not issubclass(parent.pool_cls, TaskPool):
                raise SystemExit(
                    f"The pool {parent.pool_cls.__module__} can not hold our worker, whose slots "
                    f"are programs of their own. Start it with: {_COMMAND}"
                )
            if options.get("beat"):
                _refuse_beat()
            super().__init__(parent, **options)

        def start(self, parent: Any) -> None:
            hall.open(parent.concurrency, list(parent.app.amqp.queues.consume_from))
            worker_shutdown.connect(close, weak=False)

        def stop(self, parent: Any) -> None:
            hall.close()

        def terminate(self, parent: Any) -> None:
            hall.close(at_once=True)

    app.steps["worker"].add(Step)
    worker_shutting_down.connect(told, weak=False)

    @app.task(name=WORK)
    def look(queue: str) -> None:  # pyright: ignore[reportUnusedFunction]  # Celery calls it
        hall.look(queue)

    return app


class Hall:
    """Our worker on its own event loop, in its own thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._leave: asyncio.Event | None = None
        self._told = 0
        self._ending: threading.Thread | None = None

    def open(self, slots: int, queues: Sequence[str]) -> None:
        """Returns when the worker is at work, or at once where it was told to stop before; raises
        :class:`CanNotStart`."""
        if self._told:
            return
        settings = self._settings.model_copy(update={"slots": slots})
        ready: Future[None] = Future()

        def run() -> None:
            try:
                uvloop.run(self._serve(settings, queues, ready))
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                    return
                _log.exception("the worker broke; its process leaves")
                os.kill(os.getpid(), signal.SIGTERM)

        self._thread = threading.Thread(target=run, name="usina-worker")
        self._thread.start()
        try:
            ready.result()
        except CanNotStart as refusal:
            raise SystemExit(str(refusal)) from None

    def look(self, queue: str) -> None:
        """Asks the worker to look at the queue; returns once it has, or soon."""
        if self._loop is None or self._worker is None or self._ending is not None:
            return
        with contextlib.suppress(RuntimeError, CancelledError, TimeoutError):
            asyncio.run_coroutine_threadsafe(
                self._worker.look(queue, _LOOK_SECONDS), self._loop
            ).result(2 * _LOOK_SECONDS)

    def told_to_stop(self) -> None:
        """By a signal; the second one cuts the grace short. Returns at once."""
        self._told += 1
        self._begin_to_leave()
        if self._told > 1:
            self._hurry()

    def close(self, *, at_once: bool = False) -> None:
        """Lets what runs come to its end within the grace and hands the rest back; once."""
        self._begin_to_leave()
        if at_once:
            self._hurry()
        if self._thread is not None:
            self._thread.join()

    def _begin_to_leave(self) -> None:
        """Our worker waits for nothing of Celery's, and the process for Celery only so long."""
        if self._loop is not None and self._leave is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._leave.set)
        if self._ending is None:
            self._ending = threading.Thread(target=self._end, name="usina-end", daemon=True)
            self._ending.start()

    def _end(self) -> None:
        if self._thread is not None:
            self._thread.join()
        time.sleep(_CELERY_SECONDS)
        _log.warning("Celery waits for its broker and is left behind")
        logging.shutdown()
        os._exit(0)

    def _hurry(self) -> None:
        if self._loop is not None and self._worker is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._worker.hurry)

    async def _serve(
        self, settings: Settings, queues: Sequence[str], ready: "Future[None]"
    ) -> None:
        self._leave = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._told:  # before there was anything to tell
            self._leave.set()
        async with contextlib.AsyncExitStack() as parts:
            work_root = parts.enter_context(own_place(settings.data))
            show_metrics(settings, parts)
            ground = await distributed_ground(settings, parts, works=True)
            registry = await registry_of(settings)
            self._worker = worker = await make_worker(
                ground,
                registry,
                work_root,
                queues,
                grace_seconds=settings.grace_seconds,
                holds_session=not settings.database_pooler,
            )
            load_ahead(worker, settings.warm_ahead, None)
            if not settings.database_pooler:  # which gives a session to whoever comes
                assert settings.database_url is not None
                session = Session(settings.database_url, session_name(worker.id), worker.beat_now)
                await session.start()
                parts.push_async_callback(session.stop)
            await worker.start(take_over=False)
            parts.push_async_callback(worker.stop)
            ready.set_result(None)
            print(f"ready {worker.id}", flush=True)  # noqa: T201  # for whoever started it
            await self._leave.wait()


def _silent(app: Celery) -> type[Any]:
    """Celery's worker whose stdout is ours alone. TERM and Ctrl-C are the same to it."""

    class Silent(app.Worker):
        def install_platform_tweaks(self, worker: Any) -> None:
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, self._leave)

        def _leave(self, sig: int, _: object) -> None:
            name = signal.Signals(sig).name
            worker_shutting_down.send(sender=app.main, sig=name, how="Warm", exitcode=0)
            state.should_stop = 0  # the exit code

    return Silent


def _keep_logging(**_: Any) -> None:
    """Celery leaves logging as it is once somebody listens to its signal."""


def _refuse_unknown_queues(options: dict[str, Any], **_: Any) -> None:
    asked: list[str] = [*(options.get("queues") or ()), *(options.get("exclude_queues") or ())]
    if unknown := sorted(set(asked) - set(QUEUES)):
        known = ", ".join(QUEUES)
        raise SystemExit(f"-Q: there is no queue {unknown[0]!r}; there are {known}.")


def _refuse_beat(**_: Any) -> None:
    raise SystemExit("Celery's beat has nothing to do here. Start the clockwork with: usina beat")


def __getattr__(name: str) -> Any:
    """``app``, as ``celery -A usina.worker`` looks for it: made of the environment's settings."""
    if name != "app":
        raise AttributeError(name)
    try:
        return globals().setdefault("app", celery_of(settings_with()))
    except (CanNotStart, CommandError) as refusal:
        raise SystemExit(str(refusal)) from None
