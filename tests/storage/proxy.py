"""A proxy before the S3 server, which breaks the next requests in the way that a test says."""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

_NOT_PASSED_ON = {"connection", "content-length", "transfer-encoding"}

Forward = Callable[[], httpx2.Response]
Fault = Callable[["_Handler", Forward], None]


def error(status: int, code: str) -> Fault:
    """An answer of S3's own that says no."""

    def answer(handler: "_Handler", forward: Forward) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        handler.answer(status, {"content-type": "application/xml"}, body)

    return answer


def dated(date: str) -> Fault:
    """The true answer, from a server whose clock says ``date``."""

    def answer(handler: "_Handler", forward: Forward) -> None:
        true = forward()
        handler.answer(true.status_code, {**true.headers, "date": date}, true.content)

    return answer


def hang(handler: "_Handler", forward: Forward) -> None:
    """No answer, for as long as the proxy lives."""
    handler.proxy.closing.wait()
    handler.close_connection = True


def truncated(handler: "_Handler", forward: Forward) -> None:
    """The true answer breaks off after half of its body."""
    answer = forward()
    half = answer.content[: len(answer.content) // 2]
    handler.answer(answer.status_code, dict(answer.headers), half, length=len(answer.content))
    handler.hang_up()


def lost(handler: "_Handler", forward: Forward) -> None:
    """The request is carried out, and its answer lost."""
    forward()
    handler.hang_up()


@dataclass
class Proxy:
    """Breaks the next ``times`` requests of a method (any, if null) with the fault."""

    target: str
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    fault: Fault | None = None
    method: str | None = None
    times: int = 0
    broken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def break_next(self, fault: Fault, times: int, method: str | None = None) -> None:
        with self._lock:
            self.fault, self.times, self.method, self.broken = fault, times, method, 0

    def fault_for(self, method: str) -> Fault | None:
        with self._lock:
            if self.times == 0 or self.method not in {None, method}:
                return None
            self.times -= 1
            self.broken += 1
            return self.fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))

        def forward() -> httpx2.Response:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_PASSED_ON}
            url = f"{self.proxy.target}{self.path}"
            return httpx2.request(self.command, url, headers=headers, content=body, timeout=60)

        fault = self.proxy.fault_for(self.command)
        if fault is not None:
            fault(self, forward)
            return
        answer = forward()
        self.answer(answer.status_code, dict(answer.headers), answer.content)

    def answer(
        self, status: int, headers: dict[str, str], body: bytes, length: int | None = None
    ) -> None:
        told = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_response_only(status)
        for name, value in headers.items():
            if name not in _NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("content-length", told if length is None else str(length))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what these tests are about."""


@contextmanager
def proxy_before(target: str) -> Generator[Proxy]:
    proxy = Proxy(target)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield proxy
        finally:
            proxy.closing.set()
            server.shutdown()
            serving.join()
