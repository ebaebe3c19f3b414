"""Stands between a program and the platform and keeps every line that the program says:
``python -I -S relay.py RECORD COMMAND...``. Starts the command with a pipe as its descriptor 3,
copies what comes to its own descriptor 3 and to the file RECORD, and ends as the command ends.
"""

import os
import signal
import sys

_OUT = 3


def main() -> int:
    record, *command = sys.argv[1:]
    kept = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(sink, _OUT)
        os.closerange(5, 256)
        os.execv(command[0], command)  # noqa: S606  # no shell is meant
    os.close(sink)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while data := os.read(source, 65536):
        _write(kept, data)
        _write(_OUT, data)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) % 256


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    sys.exit(main())
