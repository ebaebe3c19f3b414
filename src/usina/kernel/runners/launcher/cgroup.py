"""A control group of the program's own, where the platform may make one: the kernel itself then
bounds memory and tasks, which no watch outdoes.

https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import os

from usina.kernel.runners.launcher.process import number_in

_TASKS_EACH = 8
"""The group counts threads; the limit of a manifest is in processes."""


class Group:
    """Made below ``parent``; removed when nothing is in it."""

    def __init__(self, parent: str, memory_bytes: int, processes: int) -> None:
        self._path = f"{parent}/program-{os.getpid()}"
        os.mkdir(self._path)
        try:
            self._write("memory.max", memory_bytes)
            self._write("memory.oom.group", 1)
            self._write("pids.max", processes * _TASKS_EACH)
            if os.path.exists(f"{self._path}/memory.swap.max"):
                self._write("memory.swap.max", 0)
        except OSError:
            self.remove()
            raise

    def join(self) -> None:
        """This process, and all that it will start."""
        self._write("cgroup.procs", 0)

    def cause(self) -> "str | None":
        """The limit that was run into, if one was."""
        if number_in(f"{self._path}/memory.events", b"oom_kill "):
            return "out_of_memory"
        if number_in(f"{self._path}/pids.events", b"max "):
            return "too_many_processes"
        return None

    def remove(self) -> None:
        try:
            os.rmdir(self._path)
        except OSError:
            pass

    def _write(self, name: str, value: int) -> None:
        descriptor = os.open(f"{self._path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"%d" % value)
        finally:
            os.close(descriptor)
