"""Stands between a program and the platform and shows every line that the program says:
``python -I -S relay.py TOKEN COMMAND...``. Starts the command with a pipe as its descriptor 3 and
no output, copies what comes to its own descriptor 3, writes each line behind TOKEN to the log
first, and ends as the command ends.
"""

import os
import signal
import sys

_LOG = 2
_OUT = 3


def main() -> int:
    token, *command = sys.argv[1:]
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(sink, _OUT)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.closerange(5, 256)
        os.execv(command[0], command)  # noqa: S606  # no shell is meant
    os.close(sink)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    rest = b""
    while data := os.read(source, 65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _write(_LOG, b"%s%s\n" % (token.encode(), line))
        _write(_OUT, data)
    if rest:
        _write(_LOG, b"%s%s\n" % (token.encode(), rest))
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) % 256


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    sys.exit(main())
