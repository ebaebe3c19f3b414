"""A port for a server that stops and begins again where it was."""

import secrets
import socket
from contextlib import closing

_PORTS = range(20_000, 32_000)  # below those that Linux hands to whoever connects (32768 and up)


def free_port() -> int:
    """One on which nobody listens, and which no connection is given while its server is away."""
    while True:
        port = secrets.choice(_PORTS)
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
