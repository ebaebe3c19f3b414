"""What a program knows of its server from one job to the next."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from usina.apps.cog.callback import Receiver
from usina.apps.cog.server import Server
from usina.apps.cog.spec import Spec
from usina_runner import Job

_CONNECT_SECONDS: Final = 1.0
_AT_ONCE_SECONDS: Final = 0.2
_LARGER: Final = 2


class Model:
    """A server, and what was learnt of it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.server = Server(spec.url)
        self.receiver: Receiver | None = None
        self.reached = True
        """Until it turns out that the server can not reach us."""
        self.is_new = False
        """Whether it hears us, a cancel too, while the request of a prediction stays open; as it
        was when it was asked last."""
        self._brief: tuple[Mapping[str, Any], int] | None = None

    def expects_brief(self, job: Job) -> bool:
        """Whether the last prediction had the same parameters, inputs not much smaller, and was
        over at once; of the next one that is known only once this one is over too."""
        known, self._brief = self._brief, None
        if known is None:
            return False
        params, size = known
        return job.params == params and _size(job) <= _LARGER * size

    def learn(self, job: Job, seconds: float | None) -> None:
        """How long the server took for it, null where nobody knows."""
        if seconds is not None and seconds < _AT_ONCE_SECONDS:
            self._brief = job.params, _size(job)

    def may_tell(self) -> bool:
        """Whether the result can be told by a callback."""
        self.is_new = self.server.is_new()
        return self.reached and (not self.spec.files or self.is_new)

    def may_show(self) -> bool:
        """Whether a server whose request stays open may tell its log meanwhile. One that tries in
        vain stands still for as long as its network lets it, so it is asked to only where that is
        known to end soon: by the operator's word, or on this machine."""
        if not self.reached:
            return False
        receiver = self.listening()
        return self.spec.callback is not None or ip_address(receiver.host).is_loopback

    def listening(self) -> Receiver:
        if self.receiver is None:
            connection = self.server.connect(_CONNECT_SECONDS)
            address = connection.sock.getsockname()[0]
            connection.close()
            self.receiver = Receiver(address, self.spec.callback)
        return self.receiver


def _size(job: Job) -> int:
    """Of its inputs in bytes."""
    return sum(path.stat().st_size for paths in job.inputs.values() for path in paths)
