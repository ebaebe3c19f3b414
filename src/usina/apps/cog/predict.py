"""The program of a model behind a Cog server: one prediction per job, in the server's own words.

A prediction is asked for with the job's id, so that asking twice makes no second one. Where the
server can reach us, it answers at once and tells us how it goes; where it can not, or would not
send its files that way, the one request stays open until it is done. So it does for what was over
at once the last time: to call us costs a server milliseconds, and nobody could watch. Other
workers, and others altogether, may ask the same server: what it has no room for now is asked again.
"""

import http.client
import queue
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import usina_runner
from usina.apps.cog.callback import OVER, Line
from usina.apps.cog.delivery import deliver
from usina.apps.cog.envelope import NoPrediction, Request, Unreadable, read
from usina.apps.cog.model import Model
from usina.apps.cog.server import Slow, refusal
from usina.apps.cog.spec import Spec
from usina.apps.cog.watch import Watch
from usina_runner import Failure, Job

_TICK_SECONDS: Final = 0.05
_HEARD_WITHIN_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_CANCEL_SECONDS: Final = 0.5
_BLOCK: Final = 256 * 1024
_PERCENT: Final = re.compile(r"(\d{1,3})%\|")
_UPTO: Final = 0.95
_BUSY: Final = frozenset({http.client.CONFLICT, http.client.SERVICE_UNAVAILABLE})
_DONE: Final = http.client.OK

Prediction = dict[str, Any]
Heard = queue.SimpleQueue[Any]
"""Predictions as the server tells them, and what is told of what is done aside."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of what was done aside."""

    made: Any
    failed: BaseException | None = None

    def take(self) -> Any:
        if self.failed is not None:
            raise self.failed
        return self.made


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is done now."""

    name: str


def main(job: Job, model: Model) -> None:
    talk, brief = Talk(job, model), model.expects_brief(job)
    with job.stage("predicting", upto=_UPTO):
        waits = brief and (model.is_new or model.spec.files)
        made = None if waits or not talk.aside(model.may_tell) else talk.told()
        if made is None:
            made = talk.waited(shown=not brief and model.may_show())
    told: dict[str, Any] = made.get("metrics") or {}
    metrics = {name: value for name, value in told.items() if isinstance(value, int | float)}
    model.learn(job, metrics.get("predict_time"))
    _judge(made)
    for name, value in metrics.items():
        job.metric(name, value)
    with job.stage("storing", upto=1.0):
        deliver(job, made.get("output"), joined=model.spec.joined, more={"cog": metrics})


def _judge(made: Prediction) -> None:
    """Raises what a prediction that did not succeed means."""
    status, error = made.get("status"), str(made.get("error") or "It gave no reason.")
    if status == "unreadable":
        raise _unreadable(error)
    if status == "canceled":
        raise Failure("runner_failed", "prediction_canceled", "Somebody else cancelled it there.")
    if status == "failed":
        raise Failure("runner_failed", "prediction_failed", error)
    if status != "succeeded":
        raise Failure("runner_failed", "unreadable_output", f"It ended as {str(status)[:40]!r}.")


def _unreadable(why: str) -> Failure:
    return Failure("runner_failed", "unreadable_output", f"Its answer is unreadable: {why}.")


class Talk:
    """One prediction on the server, until it is over.

    What may take long is done aside, on a thread that knows nothing of the job: it tells what it
    does by a queue, in which callbacks come too, and ends when nobody waits for it any more.
    """

    def __init__(self, job: Job, model: Model) -> None:
        self._job, self._model, self._server = job, model, model.server
        self._shown = 0
        self._fraction = 0.0
        self._left = Event()

    def aside(self, act: Callable[[], Any]) -> Any:
        """Does it, and hears meanwhile whether the job is to stop."""
        heard: Heard = queue.SimpleQueue()
        _begin(act, heard)
        return self._next(heard, None).take()

    def told(self) -> Prediction | None:
        """Asks, and hears how it goes; null where the server does not reach us."""
        receiver = self._model.listening()
        line = receiver.open(self._job.id, self._job.outputs)
        asked = {"webhook": receiver.url_of(line)}
        asked |= {"webhook_events_filter": ["start", "logs", "completed"]}
        _begin(lambda: self._ask({"Prefer": "respond-async"}, asked, line.heard), line.heard)
        try:
            self._until_taken(line.heard)
            made = self._follow(line)
        except usina_runner.Cancelled:
            self._left.set()
            self._cancel(line)
            raise
        finally:
            receiver.close(line)
        if made is None:
            self._model.reached = not self._server.health().working
            sys.stdout.write(f"The server does not reach us at {receiver.address}.\n")
            self._server.cancel(self._job.id, _LOOK_SECONDS)
        return made

    def waited(self, *, shown: bool) -> Prediction:
        """Asks, and waits for the answer on the same connection; ``shown`` says whether the server
        is to tell its log meanwhile."""
        if not shown:
            return self._wait({}, queue.SimpleQueue())
        receiver = self._model.listening()
        line = receiver.open(self._job.id, self._job.outputs)
        asked = {"webhook": receiver.url_of(line), "webhook_events_filter": ["start", "logs"]}
        try:
            return self._wait(asked, line.heard)
        finally:
            receiver.close(line)

    def _wait(self, asked: dict[str, Any], heard: Heard) -> Prediction:
        open_ones: list[http.client.HTTPConnection] = []

        def ask() -> Prediction:
            if not self._model.is_new and not self._is_free():
                self._until_free(heard)
            return self._ask({}, asked, heard, open_ones)

        _begin(ask, heard)
        seconds = _LOOK_SECONDS if self._model.is_new else None
        try:
            while not isinstance(told := self._next(heard, seconds), _Answer):
                if told is None:
                    self._is_free()
                else:
                    self._show(told)
        except usina_runner.Cancelled:
            self._left.set()
            self._server.cancel(self._job.id, _CANCEL_SECONDS)
            for connection in open_ones:
                connection.close()
            raise
        made = told.take()
        self._show(made)
        return made

    def _until_taken(self, heard: Heard) -> None:
        """Until the server has taken the question. What it tells before that is kept."""
        early: list[Prediction] = []
        while not isinstance(told := self._next(heard, None), _Answer):
            early.append(told)
        told.take()
        for each in early:
            heard.put(each)

    def _next(self, heard: Heard, seconds: float | None) -> Any:
        """What is told next; null when nothing is in time. A job that is to stop stops."""
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            self._job.check_cancelled()
            try:
                told = heard.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            if not isinstance(told, _Stage):
                return told
            self._job.progress(self._fraction, told.name)
        return None

    def _ask(
        self,
        headers: dict[str, str],
        more: dict[str, Any],
        heard: Heard,
        open_ones: list[http.client.HTTPConnection] | None = None,
    ) -> Prediction:
        """Puts the prediction, as soon as the server is free for it."""
        body = Request({"id": self._job.id, "input": self._input(), **more})
        head = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        path = f"/predictions/{self._job.id}"
        while not self._left.is_set():
            connection = self._server.connect(None)
            if open_ones is not None:
                open_ones[:] = [connection]
            try:
                with self._server.request(connection, "PUT", path, body, head) as answer:
                    told = self._answered(answer)
                own = told is not None and (answer.status == _DONE or _is_ours(told, more))
                if told is not None and (not own or self._left.is_set()):
                    self._server.cancel(self._job.id, _LOOK_SECONDS)
                if told is not None and own:
                    return told
            except NoPrediction:
                raise self._server.stranger() from None
            except Unreadable as wrong:
                raise _unreadable(str(wrong)) from None
            except (OSError, http.client.HTTPException) as error:
                raise self._server.cut(error) from None
            finally:
                connection.close()
            self._until_free(heard)
        raise usina_runner.Cancelled

    def _answered(self, answer: http.client.HTTPResponse) -> Prediction | None:
        """What it says of the prediction; null where it is not free for it."""
        if answer.status in _BUSY:
            return None
        if answer.status in {http.client.OK, http.client.ACCEPTED}:
            return read(_parts(answer), self._job.outputs / secrets.token_hex(8))
        raise refusal(self._server, answer.status, answer.read(_BLOCK))

    def _until_free(self, heard: Heard) -> None:
        """Another prediction is made there, or its setup runs."""
        heard.put(_Stage("waiting for the server"))
        while not self._left.wait(_TICK_SECONDS) and not self._is_free():
            pass
        heard.put(_Stage("predicting"))

    def _is_free(self) -> bool:
        """An old one answers nothing while it makes a prediction whose request stays open; what it
        is asked then it does later, even for somebody who has gone."""
        try:
            health = self._server.health(_LOOK_SECONDS)
        except Slow:
            return False
        if not health.working:
            raise self._server.broken(health)
        return health.status == "READY"

    def _input(self) -> dict[str, Any]:
        spec = self._model.spec
        files = {
            spec.names.get(name, name): paths if name in spec.many else paths[0]
            for name, paths in self._job.inputs.items()
        }
        return {**self._job.params, **files}

    def _follow(self, line: Line) -> Prediction | None:
        heard = self._next(line.heard, _HEARD_WITHIN_SECONDS)
        if heard is None:
            return None
        watch = Watch(self._server)
        while heard is None or heard.get("status") not in {*OVER, "unreadable"}:
            if heard is None:
                watch.look()
            else:
                self._show(heard)
            heard = self._next(line.heard, _LOOK_SECONDS)
        self._show(heard)
        return heard

    def _cancel(self, line: Line) -> None:
        """Told, and given a moment to say that it has."""
        self._server.cancel(self._job.id, _CANCEL_SECONDS)
        until = time.monotonic() + _CANCEL_SECONDS
        while (left := until - time.monotonic()) > 0:
            try:
                if line.heard.get(timeout=left).get("status") in OVER:
                    return
            except queue.Empty:
                return

    def _show(self, told: Prediction) -> None:
        """The new part of its log, and how far a bar in it is; each telling repeats the whole."""
        logs = str(told.get("logs") or "")
        fresh, self._shown = logs[self._shown :], max(self._shown, len(logs))
        if fresh:
            sys.stdout.write(fresh)
            sys.stdout.flush()
        for found in _PERCENT.findall(fresh):
            self._fraction = max(self._fraction, _UPTO * min(int(found), 100) / 100)
        self._job.progress(self._fraction)


def _begin(act: Callable[[], Any], heard: Heard) -> None:
    """On a thread of its own; what came of it is told."""

    def work() -> None:
        try:
            heard.put(_Answer(act()))
        except BaseException as error:
            heard.put(_Answer(None, error))

    Thread(target=work, daemon=True).start()


def _is_ours(told: Prediction, asked: dict[str, Any]) -> bool:
    """Whether a prediction that goes on was begun by this very question: one that an attempt has
    left behind which is dead tells nobody, and is cancelled. New servers call a new one
    ``starting``, old ones repeat who is told."""
    webhook = asked.get("webhook")
    return webhook is not None and (
        told.get("status") == "starting" or told.get("webhook") == webhook
    )


def _parts(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while part := answer.read1(_BLOCK):
        yield part
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def load() -> Model:
    return Model(Spec.read(Path(sys.argv[1])))


if __name__ == "__main__":
    usina_runner.run(main, load=load)
