"""A platform in a box: a process of its own on a machine that allows less.

Started as a module it runs the job of its first argument and prints how that ended. Denied system
calls fail with EPERM, as they do in most containers.
"""

import asyncio
import json
import struct
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.runners.stage import Stage
from usina.kernel.runners.launcher.system import install_filter, prctl, set_capabilities
from usina.kernel.runners.manifest import Manifest, load_manifest
from usina.kernel.runners.pool import Sandbox

NAMESPACES = ("unshare", "clone3", "mount")
NUMBERS = {
    "x86_64": {"unshare": 272, "clone3": 435, "mount": 165, "seccomp": 317},
    "aarch64": {"unshare": 97, "clone3": 435, "mount": 40, "seccomp": 277},
}
LANDLOCK = 444
SETFCAP = 1 << 31
"""What a user with all of /etc/subuid has: the right to map itself."""


def play(
    program: Manifest,
    root: Path,
    *,
    deny: tuple[int, ...] = (),
    capabilities: int | None = None,
    mode: str = "auto",
    params: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One job in a box; ``{failure, sandbox, text}``."""
    told = {
        "folder": str(program.folder),
        "root": str(root),
        "deny": deny,
        "capabilities": capabilities,
        "mode": mode,
        "params": params or {},
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.runners.box", json.dumps(told)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def _keep_only(capabilities: int) -> None:
    for number in range(64):
        if not capabilities >> number & 1:
            try:
                prctl(24, number)
            except OSError:
                break
    low, high = capabilities & 0xFFFF_FFFF, capabilities >> 32
    sets = struct.pack("6I", low, low, 0, high, high, 0)
    set_capabilities(struct.pack("Ii", 0x2008_0522, 0), sets)


def _deny(numbers: list[int]) -> None:
    steps = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    for number in numbers:
        steps += [struct.pack("HBBI", 0x15, 0, 1, number), struct.pack("HBBI", 6, 0, 0, 0x50001)]
    steps.append(struct.pack("HBBI", 6, 0, 0, 0x7FFF_0000))
    install_filter(b"".join(steps))


async def _main(told: dict[str, Any]) -> None:
    stage = Stage(Path(told["root"]), sandbox=Sandbox(told["mode"]))
    act = await stage.play(load_manifest(Path(told["folder"])), told["params"])
    await stage.pool.close()
    failure = act.outcome.failure
    shown = {
        "failure": failure and asdict(failure),
        "sandbox": act.outcome.sandbox and dict(act.outcome.sandbox),
        "text": act.told.text,
    }
    sys.stdout.write(json.dumps(shown))


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    if told["deny"]:
        _deny(told["deny"])
    if told["capabilities"] is not None:
        _keep_only(told["capabilities"])
    asyncio.run(_main(told))
