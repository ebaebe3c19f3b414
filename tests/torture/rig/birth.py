"""Two ways to start a process: by its command, or by fork from the nursery, which is quick."""

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Birth:
    """What a process begins with; ``log`` gets its stderr."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path


@dataclass(frozen=True)
class Child:
    """``lines`` is what it writes to stdout, up to its end; ``ended`` gives its exit code."""

    pid: int
    lines: AsyncIterable[bytes]
    ended: Callable[[], Awaitable[int]]


Bear = Callable[[Birth], Awaitable[Child]]


async def by_command(birth: Birth) -> Child:
    with birth.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *birth.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=dict(birth.environment),
            start_new_session=True,
        )
    assert process.stdout is not None
    return Child(process.pid, process.stdout, process.wait)


def by_nursery(address: Path) -> Bear:
    """The command is the words after ``usina``."""

    async def bear(birth: Birth) -> Child:
        reader, writer = await asyncio.open_unix_connection(str(address))
        order = {
            "arguments": birth.command,
            "environment": birth.environment,
            "log": str(birth.log),
        }
        writer.write(json.dumps(order).encode() + b"\n")
        pid = int((await reader.readline()).split()[1])
        code = asyncio.get_running_loop().create_future()

        async def lines() -> AsyncIterable[bytes]:
            async for line in reader:
                if line.startswith(b"exited "):
                    code.set_result(int(line.split()[1]))
                    break
                yield line
            writer.close()
            if not code.done():
                code.set_result(-1)

        async def ended() -> int:
            return await code

        return Child(pid, lines(), ended)

    return bear
