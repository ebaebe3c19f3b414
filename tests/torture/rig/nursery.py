"""Starts processes of the platform by fork from one that has loaded its code already.

A start costs two seconds of computing, nearly all of it imports; a run starts hundreds. What is
forked is a process like any other: its own session, environment, descriptors and arguments.

``python -m tests.torture.rig.nursery SOCKET``; each connection asks for one process by a line of
JSON ``{arguments, environment, log}`` and is told ``pid N``, then what the process writes to
stdout, then ``exited CODE``.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from usina.faces.cli.main import main as usina_main
from usina.kernel import failpoints


def main() -> None:
    """Returns in each child once, to be the process that was asked for."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    waiting.register(reader, selectors.EVENT_READ)
    born: dict[int, socket.socket] = {}
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not listener:
                os.read(reader, 4096)
                continue
            asking, _ = listener.accept()
            with asking.makefile() as told:
                order = json.loads(told.readline())
            if (pid := os.fork()) == 0:
                waiting.close()
                _become(order, asking, [listener, *born.values()], (reader, writer))
                return
            asking.sendall(f"pid {pid}\n".encode())
            born[pid] = asking
        _bury(born)


def _bury(born: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            with born.pop(pid) as asked, contextlib.suppress(OSError):
                asked.sendall(f"\nexited {os.waitstatus_to_exitcode(status)}\n".encode())


def _become(
    order: dict[str, Any],
    asking: socket.socket,
    others: list[socket.socket],
    pipe: tuple[int, int],
) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for other in others:
        other.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for target, source in enumerate((nothing, asking.fileno(), log)):
        os.dup2(source, target)
    for descriptor in (nothing, log, *pipe):
        os.close(descriptor)
    asking.close()
    os.environ.clear()
    os.environ.update(order["environment"])
    failpoints._left.update(failpoints._armed())
    sys.argv = ["usina", *order["arguments"]]


if __name__ == "__main__":
    Path(sys.argv[1]).unlink(missing_ok=True)
    main()
    sys.exit(usina_main())
