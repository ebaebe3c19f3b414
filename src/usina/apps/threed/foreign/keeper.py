"""A foreign model that stays loaded between jobs, by `server` in the model's own Python."""

import json
import os
import select
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from usina.apps.threed.foreign.cause import cause_of
from usina.apps.threed.foreign.home import Home
from usina.apps.threed.foreign.program import LOOK_SECONDS, Program, how_it_ended

_SERVER: Final = Path(__file__).with_name("server.py")
_READ_BYTES: Final = 65_536


class Keeper:
    """At most one server; one for other ``options``, or after a failure, takes its place.

    ``hear`` is told the name of each stage, ``between`` is called ten times a second; what either
    raises ends the server, and so does every failure: the next job loads the model anew.
    """

    def __init__(self, adapter: Path) -> None:
        self._adapter = adapter
        self._folder = Path.cwd()
        self._options: Mapping[str, Any] | None = None
        self._server: _Server | None = None

    def ready(self, options: Mapping[str, Any]) -> bool:
        """Whether such a model is loaded and waits."""
        return self._server is not None and self._server.alive and options == self._options

    def make(
        self,
        home: Home,
        options: Mapping[str, Any],
        more: Mapping[str, str],
        order: Mapping[str, Any],
        hear: Callable[[str], None],
        between: Callable[[], None],
    ) -> dict[str, Any]:
        """What the adapter says of an order; raises `Failure` and whatever ``between`` does.

        ``options`` are those of a load, ``more`` variables of its environment.
        """
        try:
            if not self.ready(options):
                self.end()
                hear("start")
                self._server = _Server(self._adapter, self._folder, home, options, more)
                self._options = options
                self._server.answer("ready", hear, between)
            assert self._server is not None
            self._server.order(order)
            return dict(self._server.answer("done", hear, between))
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        if self._server is not None:
            self._server.end()
        self._server = self._options = None


class _Server:
    def __init__(
        self,
        adapter: Path,
        folder: Path,
        home: Home,
        options: Mapping[str, Any],
        more: Mapping[str, str],
    ) -> None:
        self._answers, theirs = os.pipe()
        their_orders, self._orders = os.pipe()
        argv = [str(home.python), str(_SERVER), str(adapter), str(theirs), str(their_orders)]
        argv += [str(home.script.parent), json.dumps(dict(options))]
        at_home = {"HOME": str(folder), "TMPDIR": str(folder)}
        try:
            self._program = Program(
                argv,
                folder,
                home.environment({**more, **at_home}),
                lambda _: None,
                (theirs, their_orders),
            )
        finally:
            os.close(theirs)
            os.close(their_orders)
        self._rest = b""

    @property
    def alive(self) -> bool:
        return self._program.alive

    def order(self, order: Mapping[str, Any]) -> None:
        data = json.dumps(dict(order)).encode() + b"\n"
        try:
            os.write(self._orders, data)
        except BrokenPipeError:
            raise self._failure() from None

    def answer(self, wanted: str, hear: Callable[[str], None], between: Callable[[], None]) -> Any:
        """The next answer of that kind."""
        while True:
            message = self._next(between)
            if "failed" in message:
                raise cause_of([str(message["failed"])], "failed")
            if "stage" in message:
                hear(str(message["stage"]))
            if wanted in message:
                return message[wanted]

    def _next(self, between: Callable[[], None]) -> dict[str, Any]:
        while b"\n" not in self._rest:
            between()
            if select.select([self._answers], [], [], LOOK_SECONDS)[0]:
                data = os.read(self._answers, _READ_BYTES)
                if not data:
                    raise self._failure()
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return dict(json.loads(line))

    def _failure(self) -> Exception:
        """Why it is gone."""
        code = self._program.end()
        return cause_of(self._program.lines, how_it_ended(code))

    def end(self) -> None:
        self._program.end()
        os.close(self._answers)
        os.close(self._orders)
