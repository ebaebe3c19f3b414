"""The program of a model behind a Cog server: one prediction per job, in the server's own words.

A prediction is asked for with the job's id, so that asking twice makes no second one. Where the
server can reach us, it answers at once and tells us how it goes; where it can not, or would not
send its files that way, the one request stays open until it is done.
"""

import http.client
import queue
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Final

import usina_runner
from usina.apps.cog.callback import OVER, Line, Receiver
from usina.apps.cog.delivery import deliver
from usina.apps.cog.envelope import NoPrediction, Request, Unreadable, read
from usina.apps.cog.server import Server, Slow, refusal
from usina.apps.cog.spec import Spec
from usina_runner import Failure, Job

_TICK_SECONDS: Final = 0.05
_HEARD_WITHIN_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_QUIET_LOOKS: Final = 10
_CANCEL_SECONDS: Final = 0.5
_BLOCK: Final = 256 * 1024
_PERCENT: Final = re.compile(r"(\d{1,3})%\|")
_UPTO: Final = 0.95
_BUSY: Final = frozenset({http.client.CONFLICT, http.client.SERVICE_UNAVAILABLE})

Prediction = dict[str, Any]


class Model:
    """What a program knows of its server from one job to the next."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.server = Server(spec.url)
        self.receiver: Receiver | None = None
        self.reached = True
        """Until it turns out that the server can not reach us."""

    def may_tell(self) -> bool:
        """Whether the result can be told by a callback."""
        return self.reached and (not self.spec.files or self.server.is_new())

    def listening(self) -> Receiver:
        if self.receiver is None:
            connection = self.server.connect(_LOOK_SECONDS)
            address = connection.sock.getsockname()[0]
            connection.close()
            self.receiver = Receiver(address, self.spec.callback)
        return self.receiver


def main(job: Job, model: Model) -> None:
    talk = Talk(job, model)
    with job.stage("predicting", upto=_UPTO):
        made = talk.told() if model.may_tell() else None
        if made is None:
            made = talk.waited()
    _judge(made)
    told: dict[str, Any] = made.get("metrics") or {}
    metrics = {name: value for name, value in told.items() if isinstance(value, int | float)}
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
    """One prediction on the server, until it is over."""

    def __init__(self, job: Job, model: Model) -> None:
        self._job, self._model, self._server = job, model, model.server
        self._folder = Path("answer").absolute()
        self._folder.mkdir(exist_ok=True)
        self._shown = 0
        self._fraction = 0.0

    def told(self) -> Prediction | None:
        """Asks, and hears how it goes; null where the server does not reach us."""
        receiver = self._model.listening()
        line = receiver.open(self._job.id, self._folder)
        asked = {"webhook": receiver.url_of(line)}
        asked |= {"webhook_events_filter": ["start", "logs", "completed"]}
        try:
            self._ask({"Prefer": "respond-async"}, asked)
            made = self._follow(line)
        except usina_runner.Cancelled:
            self._cancel(line)
            raise
        finally:
            receiver.close(line)
        if made is None:
            self._model.reached = not self._server.health().working
            sys.stdout.write(f"The server does not reach us at {receiver.address}.\n")
            self._server.cancel(self._job.id, _LOOK_SECONDS)
        return made

    def waited(self) -> Prediction:
        """Asks, and waits for the answer on the same connection."""
        answers: queue.SimpleQueue[Prediction | BaseException] = queue.SimpleQueue()
        open_ones: list[http.client.HTTPConnection] = []

        def work() -> None:
            try:
                answers.put(self._ask({}, {}, open_ones))
            except BaseException as error:
                answers.put(error)

        Thread(target=work, daemon=True).start()
        try:
            made = self._next(answers, None)
        except usina_runner.Cancelled:
            self._server.cancel(self._job.id, _CANCEL_SECONDS)
            for connection in open_ones:
                connection.close()
            raise
        assert made is not None, "it waits without an end"
        if isinstance(made, BaseException):
            raise made
        self._show(made)
        return made

    def _next(self, answers: "queue.SimpleQueue[Any]", seconds: float | None) -> Any:
        """The next answer; null when none comes in time. A job that is to stop stops."""
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            self._job.check_cancelled()
            try:
                return answers.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
        return None

    def _ask(
        self,
        headers: dict[str, str],
        more: dict[str, Any],
        open_ones: list[http.client.HTTPConnection] | None = None,
    ) -> Prediction:
        """Puts the prediction, as soon as the server is free for it."""
        body = Request({"id": self._job.id, "input": self._input(), **more})
        head = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        path = f"/predictions/{self._job.id}"
        while True:
            connection = self._server.connect(None)
            if open_ones is not None:
                open_ones[:] = [connection]
            try:
                with self._server.request(connection, "PUT", path, body, head) as answer:
                    told = self._answered(answer)
                if told is not None and (answer.status == http.client.OK or _is_new(told, more)):
                    return told
                if told is not None:
                    self._server.cancel(self._job.id, _LOOK_SECONDS)
            except NoPrediction:
                raise self._server.stranger() from None
            except Unreadable as wrong:
                raise _unreadable(str(wrong)) from None
            except (OSError, http.client.HTTPException) as error:
                raise self._server.cut(error) from None
            finally:
                connection.close()
            self._until_free()

    def _answered(self, answer: http.client.HTTPResponse) -> Prediction | None:
        """What it says of the prediction; null where it is not free for it."""
        if answer.status in _BUSY:
            return None
        if answer.status in {http.client.OK, http.client.ACCEPTED}:
            return read(_parts(answer), self._folder)
        raise refusal(self._server, answer.status, answer.read(_BLOCK))

    def _until_free(self) -> None:
        """Another prediction is made there, or its setup runs."""
        self._job.progress(self._fraction, "waiting for the server")
        while True:
            self._job.sleep(_TICK_SECONDS)
            try:
                health = self._server.health()
            except Slow:
                continue
            if not health.working:
                raise self._server.broken(health)
            if health.status == "READY":
                self._job.progress(self._fraction, "predicting")
                return

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
        watch = _Watch(self._server)
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


def _is_new(told: Prediction, asked: dict[str, Any]) -> bool:
    """Whether a prediction that goes on was begun by this very question: one that an attempt has
    left behind which is dead tells nobody, and is cancelled. New servers call a new one
    ``starting``, old ones repeat who is told."""
    webhook = asked.get("webhook")
    return webhook is not None and (
        told.get("status") == "starting" or told.get("webhook") == webhook
    )


class _Watch:
    """Looks after a server that says nothing: whether it is alive and still at our prediction."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._began: str | None = None
        self._was_busy = False
        self._quiet = 0

    def look(self) -> None:
        """Raises what it means that nothing more can come."""
        try:
            health = self._server.health()
        except Slow:
            return
        if not health.working:
            raise self._server.broken(health)
        self._began = self._began or health.began
        self._was_busy = self._was_busy or health.status == "BUSY"
        self._quiet = self._quiet + 1 if health.status == "READY" and self._was_busy else 0
        if health.began != self._began or self._quiet >= _QUIET_LOOKS:
            raise self._server.cut(ConnectionResetError())


def _parts(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while part := answer.read1(_BLOCK):
        yield part
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def load() -> Model:
    return Model(Spec.read(Path(sys.argv[1])))


if __name__ == "__main__":
    usina_runner.run(main, load=load)
