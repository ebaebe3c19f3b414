"""A runner's program started by hand: what the platform is held against."""

import fcntl
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.work import WorkFolder


class Bare:
    """The same program without a platform; ``job`` is what its ``job.json`` says."""

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        mode: str,
        job: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.work = WorkFolder.create(root, f"bare-{mode}")
        self.work.write_job(dict(job))
        self._manifest = manifest
        self._mode = mode
        self._environment = dict(environment or {})

    def start(self) -> tuple["subprocess.Popen[bytes]", IO[bytes], IO[bytes]]:
        """The program, what it says and what it is told."""
        out, their_out = os.pipe()
        their_in, inward = os.pipe()
        high = [fcntl.fcntl(number, fcntl.F_DUPFD, 64) for number in (their_out, their_in)]

        def place() -> None:
            for target, number in enumerate(high, 3):
                os.dup2(number, target)

        program = subprocess.Popen(
            self._manifest.argv(),
            cwd=self.work.path,
            preexec_fn=place,
            pass_fds=(3, 4),
            env={"USINA_RUNNER_MODE": self._mode, "PATH": os.defpath, **self._environment},
        )
        for number in (their_out, their_in, *high):
            os.close(number)
        return program, os.fdopen(out, "rb"), os.fdopen(inward, "wb", 0)
