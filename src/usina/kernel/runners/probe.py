"""Whether a program can run on this machine, and in which version, as its own probe says."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Final, NamedTuple

from usina.kernel.runners.manifest import Manifest, NotInstalled

_SECONDS: Final = 60.0
_REASON_LENGTH: Final = 500


class Probed(NamedTuple):
    """``reason`` is null when the program can run here, else says what would fix it; ``said`` is
    what the probe of one that can run has printed: its version."""

    reason: str | None
    said: str = ""


async def probe(manifest: Manifest) -> Probed:
    """Without a probe of its own, a program that exists is taken to run."""
    try:
        manifest.argv()
        argv = manifest.probe_argv()
    except NotInstalled as missing:
        return Probed(str(missing))
    return await _ask(manifest, argv) if argv else Probed(None)


async def _ask(manifest: Manifest, argv: Sequence[str]) -> Probed:
    """Runs the probe: exit 0 is yes, else its last line of output is the reason."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), **manifest.passed(os.environ)}
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=manifest.folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        return Probed(f"The probe of {manifest.name} gave no answer within {_SECONDS:g} s.")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    text = said.decode("utf-8", "replace")
    if process.returncode == 0:
        return Probed(None, text.strip())
    reason = next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")
    fallback = f"The probe ended with exit code {process.returncode}."
    return Probed(reason[:_REASON_LENGTH] or fallback)
