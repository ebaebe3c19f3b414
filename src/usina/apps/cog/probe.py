"""Whether the server can be asked now: exit 0, or the reason as the last line."""

import sys
from pathlib import Path

from usina.apps.cog.schema import UnknownSchema, version_of
from usina.apps.cog.server import Server, Slow
from usina.apps.cog.spec import Spec
from usina_runner import Failure


def reason(spec: Spec) -> str | None:
    """Why not, with what to do; null where it can. One that still starts is waited for by jobs, and
    one that takes connections without answering is an old one that works."""
    server = Server(spec.url)
    try:
        health = server.health()
        if not health.working:
            return server.broken(health).message
        if health.status == "STARTING":
            return None
        if version_of(server.openapi()) != spec.version:
            return (
                f"The model at {spec.url} takes or gives other things than when it was added: look "
                "at them and run `usina runner add-cog` once more."
            )
    except Slow:
        return None
    except UnknownSchema as strange:
        return str(strange)
    except Failure as failure:
        return None if failure.reason == "model_server_slow" else failure.message
    return None


if __name__ == "__main__":
    why = reason(Spec.read(Path(sys.argv[1])))
    if why is not None:
        sys.exit(why)
