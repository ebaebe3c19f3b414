"""What the platform adds to a prediction of a Cog server: a job from its submission over HTTP to
its end, over the bare ``PUT /predictions/ID`` that waits for its answer, in pairs, with a picture
that comes back twice. Of both generations of servers; needs what ``make .venv/cog/new/.installed``
and ``.../old/.installed`` make.
"""

import asyncio
import base64
import http.client
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import uvloop
from PIL import Image
from tests.cog.server import Age, CogServer

from benchmarks.embedded import Embedded, finished, platform
from usina.apps.cog.folder import Wish, add

ADDED_MOST_MS: Final = 10.0
_ROUNDS: Final = 30
_SIDE: Final = 180
_REST_SECONDS: Final = 0.05
"""What a server takes to be free again after its answer, which neither side is to wait for."""


def _picture(folder: Path) -> Path:
    """A hundred kilobytes that no PNG makes smaller."""
    path = folder / "noise.png"
    noise = np.random.default_rng(0).integers(0, 255, (_SIDE, _SIDE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def _bare(server: CogServer, picture: Path, number: int) -> float:
    """Milliseconds of a prediction whose files are decoded, as whoever wants them has to."""
    began = time.perf_counter()
    given = base64.b64encode(picture.read_bytes()).decode()
    asked = {"input": {"image": f"data:image/png;base64,{given}"}}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    head = {"Content-Type": "application/json"}
    connection.request("PUT", f"/predictions/bare-{number}", json.dumps(asked), head)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert told["status"] == "succeeded", told
    assert all(base64.b64decode(made.partition(",")[2]) for made in told["output"])
    return (time.perf_counter() - began) * 1000


async def _job(platform: Embedded, model: str, image: str) -> float:
    async with platform.connection() as connection:
        began = time.perf_counter()
        await finished(connection, {"model": model, "inputs": {"image": image}})
        return (time.perf_counter() - began) * 1000


async def _added(platform: Embedded, server: CogServer, picture: Path) -> float:
    """The median; the first pair, which starts everything, is left out."""
    image, pairs = platform.send(picture), list[tuple[float, float]]()
    for number in range(_ROUNDS + 1):
        await asyncio.sleep(_REST_SECONDS)
        job = await _job(platform, server.age, image)
        await asyncio.sleep(_REST_SECONDS)
        pairs.append((job, _bare(server, picture, number)))
    job, bare = (statistics.median(each) for each in zip(*pairs[1:], strict=True))
    added = statistics.median(job - bare for job, bare in pairs[1:])
    print(
        f"{server.age:4}: a job {job:.1f} ms, the bare prediction {bare:.1f}, the platform adds "
        f"{added:.1f} (aim at most {ADDED_MOST_MS:g})",
        flush=True,
    )
    return added


def main() -> int:
    with tempfile.TemporaryDirectory() as home, ExitStack() as running:
        folder = Path(home)
        old = running.enter_context(CogServer(folder / "old", "old", "picture").running())
        old.until_ready()
        made = CogServer(folder / "new", "new", "picture", old.get("/openapi.json"))
        new = running.enter_context(made.running())
        new.until_ready()
        servers: dict[Age, CogServer] = {"new": new, "old": old}
        for age, server in servers.items():
            add(Wish(age, server.url), folder / "data" / "runners")
        served = running.enter_context(platform(folder / "data"))
        picture = _picture(folder)
        added = {
            age: uvloop.run(_added(served, server, picture)) for age, server in servers.items()
        }
    return int(max(added.values()) > ADDED_MOST_MS)


if __name__ == "__main__":
    sys.exit(main())
