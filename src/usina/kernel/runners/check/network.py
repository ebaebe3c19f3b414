"""Whether it keeps off the network where its manifest says so."""

import asyncio
from typing import Final

from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.observation import observe
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.check.visitor import visit

_CALL: Final = """\
import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()
"""


async def none(subject: Subject) -> str:
    await subject.first()
    declared = subject.manifest.network
    if declared != "none":
        raise Unchecked(f"its manifest asks for network = {declared!r}")
    manifest = subject.manifest
    if manifest.reach(subject.bench.pool.passed(manifest)) != declared:
        raise Unchecked(f"{manifest.environment.server} names a server that it calls")
    seen = await observe(subject)
    if seen.sockets:
        kinds = ", ".join(sorted(seen.sockets))
        raise Broken(f"it opened the network ({kinds}) and declares none")
    if seen.act.played.failure is not None:
        raise Broken(f"kept off the network it ended with {seen.act.ending}")
    if await _reaches(subject):
        raise Unchecked("no layer of the sandbox here keeps a program off; it was not seen to try")
    return "kept off, and done"


async def _reaches(subject: Subject) -> bool:
    """Whether a program of this manifest could reach a server of this machine."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        return await visit(subject, _CALL, str(port))


CHECKS: Final = (Check("network", "With network = none it keeps off the network.", none),)
