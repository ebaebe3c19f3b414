"""Uploads and downloads of one large file, against the least that could do the same work.

Upload: the platform's multipart route against a bare ASGI app that hashes and writes the body.
Download: the platform's content route against a bare ASGI app that sends the same ranged reads.
Both sides run behind the same server in a process of their own and talk to the same client, in
pairs, one after the other. The platform also syncs, sniffs, commits a row and answers problems.
"""

import argparse
import asyncio
import hashlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MIB: Final = 1024**2
UPLOAD_LEAST: Final = 0.5
DOWNLOAD_LEAST: Final = 0.8
GROWTH_MOST_MIB: Final = 40
_CHUNK: Final = os.urandom(MIB)
_BOUNDARY: Final = os.urandom(16).hex()
_FORM_HEAD: Final = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
).encode()
_FORM_TAIL: Final = f"\r\n--{_BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Served:
    """A server process."""

    pid: int
    port: int
    key: str


@dataclass(frozen=True, slots=True)
class Result:
    """``ratio`` is the platform's speed over the bare app's; growth is the platform's memory."""

    name: str
    ratio: float
    platform_mb_s: float
    bare_mb_s: float
    growth_mib: float
    least: float

    @property
    def holds(self) -> bool:
        return self.ratio >= self.least and self.growth_mib <= GROWTH_MOST_MIB

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.ratio:.2f} of a bare app (at least {self.least}), "
            f"{self.platform_mb_s:.0f} against {self.bare_mb_s:.0f} MB/s, "
            f"memory +{self.growth_mib:.0f} MiB (at most {GROWTH_MOST_MIB})"
            f"{'' if self.holds else '  FAILS'}"
        )


def run(size_mib: int, pairs: int) -> list[Result]:
    """Both measurements, the median over the pairs."""
    with (
        tempfile.TemporaryDirectory(prefix="usina-transfer-") as folder,
        server("platform", Path(folder) / "platform") as platform,
        server("bare", Path(folder) / "bare") as bare,
    ):
        rig = _Rig(platform, bare, size_mib, pairs)
        return [_measure_uploads(rig), _measure_downloads(rig)]


@dataclass(frozen=True, slots=True)
class _Rig:
    platform: Served
    bare: Served
    size_mib: int
    pairs: int


def _measure_uploads(rig: _Rig) -> Result:
    """Each file is deleted before the next one, on both sides: fresh memory is slow to get."""
    warm = [upload(side, 1) for side in (rig.platform, rig.bare)]
    kept = {rig.platform: warm[0], rig.bare: warm[1]}

    def once(side: Served) -> Callable[[], None]:
        def work() -> None:
            kept[side] = upload(side, rig.size_mib)

        return work

    def forget() -> None:
        for side, file_id in kept.items():
            delete(side, file_id)

    return _measure("upload", UPLOAD_LEAST, rig, once, forget)


def _measure_downloads(rig: _Rig) -> Result:
    ids = {side: upload(side, rig.size_mib) for side in (rig.platform, rig.bare)}

    def once(side: Served) -> Callable[[], None]:
        return lambda: download(side, f"/api/v1/files/{ids[side]}/content", rig.size_mib)

    return _measure("download", DOWNLOAD_LEAST, rig, once, lambda: None)


def _measure(
    name: str,
    least: float,
    rig: _Rig,
    once: Callable[[Served], Callable[[], None]],
    before: Callable[[], None],
) -> Result:
    """Pairs of the same work on both sides, whoever is first taking turns; medians of all."""
    seconds: dict[Served, list[float]] = {rig.platform: [], rig.bare: []}
    growth = 0.0
    for pair in range(rig.pairs):
        before()
        sides = (rig.platform, rig.bare) if pair % 2 else (rig.bare, rig.platform)
        for side in sides:
            start = start_peak(side.pid)
            begin = time.perf_counter()
            once(side)()
            seconds[side].append(time.perf_counter() - begin)
            if side is rig.platform:
                growth = max(growth, peak_mib(side.pid) - start)
    ours, theirs = seconds[rig.platform], seconds[rig.bare]
    megabytes = rig.size_mib * MIB / 1e6
    return Result(
        name=name,
        ratio=statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        platform_mb_s=megabytes / statistics.median(ours),
        bare_mb_s=megabytes / statistics.median(theirs),
        growth_mib=growth,
        least=least,
    )


def upload(served: Served, size_mib: int) -> str:
    """Sends a file and returns its id."""
    head, tail = (_FORM_HEAD, _FORM_TAIL) if served.key else (b"", b"")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=600)
    connection.putrequest("POST", "/api/v1/files")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
    connection.putheader("Content-Length", str(len(head) + size_mib * MIB + len(tail)))
    connection.putheader("x-api-key", served.key)
    connection.endheaders(head or None)
    for _ in range(size_mib):
        connection.send(_CHUNK)
    if tail:
        connection.send(tail)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    assert answer.status == 201, document
    assert size_mib > 1 or document["sha256"] == hashlib.sha256(_CHUNK).hexdigest()
    return str(document["id"])


def delete(served: Served, file_id: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("DELETE", f"/api/v1/files/{file_id}", headers={"x-api-key": served.key})
    assert connection.getresponse().status == 204
    connection.close()


def download(served: Served, path: str, size_mib: int) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=600) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {served.key}\r\nConnection: close\r\n"
        connection.sendall(f"{head}\r\n".encode())
        buffer, received = bytearray(MIB), 0
        while count := connection.recv_into(buffer):
            received += count
    assert received > size_mib * MIB, "the file came whole, with its head"


def start_peak(pid: int) -> float:
    """Resets the peak of the process and returns its present memory, in MiB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status_mib(pid, "VmRSS:")


def peak_mib(pid: int) -> float:
    return _status_mib(pid, "VmHWM:")


def _status_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"{name} is not told of process {pid}")


@contextmanager
def server(side: str, folder: Path) -> Iterator[Served]:
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.transfer", "--serve", side, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Served(process.pid, told["port"], told["key"])
    finally:
        process.terminate()
        process.wait()


async def _serve(side: str, folder: Path) -> None:
    from usina.app import embedded
    from usina.faces.http.app import create_app
    from usina.settings import Settings

    if side == "bare":
        await _listen(_bare_app(folder), "")
        return
    async with embedded(Settings(data=folder, log_level="error", _env_file=None)) as running:
        await _listen(create_app(running.platform), running.credentials.api_key)


async def _listen(app: Any, key: str) -> None:
    from usina.server import bind, make_server

    listener = bind("127.0.0.1", 0)
    serving = asyncio.create_task(make_server(app).serve(sockets=[listener]))
    print(json.dumps({"port": listener.getsockname()[1], "key": key}), flush=True)
    await serving


def _bare_app(folder: Path) -> Any:
    """Hashes and writes what is posted; sends ranged reads of what is asked for."""
    import obstore
    from obstore.store import LocalStore

    from usina.kernel.storage.store import STEP_BYTES

    store = LocalStore(folder)
    key = "object"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            document = json.dumps({"id": key, "sha256": await sink(receive)}).encode()
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": document})
            return
        if scope["method"] == "DELETE":
            (folder / key).unlink()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        size = (folder / key).stat().st_size
        length = (b"content-length", b"%d" % size)
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        for at in range(0, size, STEP_BYTES):
            end = min(at + STEP_BYTES, size)
            step = memoryview(await obstore.get_range_async(store, key, start=at, end=end))
            await send({"type": "http.response.body", "body": step, "more_body": end < size})

    async def sink(receive: Any) -> str:
        digest = hashlib.sha256()
        with (folder / key).open("wb", buffering=0) as file:
            more = True
            while more:
                message = await receive()
                digest.update(message["body"])
                file.write(message["body"])
                more = message["more_body"]
        return digest.hexdigest()

    return app


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--serve", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        import uvloop

        uvloop.run(_serve(given.serve[0], Path(given.serve[1])))
        return 0
    results = run(given.mib, given.pairs)
    for result in results:
        print(result)
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
