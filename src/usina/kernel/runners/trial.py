"""What of the sandbox this machine allows: found by starting a program in it, not by guessing."""

import asyncio
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.program import Order, Program
from usina.kernel.runners.sandbox import LAYERS, Sandbox

_SECONDS: Final = 20.0


async def try_sandbox(sandbox: Sandbox, root: Path) -> dict[str, str]:
    """Every layer: empty when it is on, else why it is not. Leaves nothing below ``root``."""
    root.mkdir(0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial-", dir=root) as folder:
        trial = sandbox if sandbox.mode == "off" else replace(sandbox, mode="auto")
        program = Program(_order(trial, root, Path(folder)), lambda _: None)
        try:
            async with asyncio.timeout(_SECONDS):
                await program.gone()
        finally:
            program.kill()
            await program.gone()
    ended = program.exit
    if ended is not None and (ended.refused is not None or program.pid is None):
        why = ended.refused or "its launcher was lost"
        return dict.fromkeys(LAYERS, f"no program can be started: {why}")
    return sandbox.told(program.layers)


def missing(sandbox: Sandbox, layers: Mapping[str, str]) -> dict[str, str]:
    """The layers without which no program is run, and why they can not be had."""
    return {name: layers[name] for name in sandbox.required("none") if layers[name]}


def _order(sandbox: Sandbox, root: Path, folder: Path) -> Order:
    """A program that does nothing."""
    limits = RunnerLimits()
    manifest = Manifest(
        folder=folder,
        name="trial",
        version="1",
        task="trial",
        description="Nothing.",
        license="MIT",
        command=("true",),
    )
    argv = manifest.argv()
    return Order(
        argv=argv,
        cwd=folder,
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        memory_bytes=manifest.resources.memory_bytes,
        processes=limits.processes,
        file_bytes=limits.file_bytes,
        open_files=limits.open_files,
        disk_bytes=limits.disk_bytes,
        files=limits.files,
        line_bytes=limits.line_bytes,
        sandbox=sandbox.order(manifest, argv, {}, root),
    )
