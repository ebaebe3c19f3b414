"""Looking after a server that makes a prediction and says nothing of it."""

from typing import Final

from usina.apps.cog.server import Server, Slow

_QUIET_LOOKS: Final = 10


class Watch:
    """Looks after a server that says nothing: whether it is alive and still at our prediction."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._began: str | None = None
        self._was_busy = False
        self._quiet = 0

    def look(self) -> None:
        """Raises what it means that nothing more can come."""
        try:
            health = self._server.health()
        except Slow:
            return
        if not health.working:
            raise self._server.broken(health)
        self._began = self._began or health.began
        self._was_busy = self._was_busy or health.status == "BUSY"
        self._quiet = self._quiet + 1 if health.status == "READY" and self._was_busy else 0
        if health.began != self._began or self._quiet >= _QUIET_LOOKS:
            raise self._server.cut(ConnectionResetError())
