"""A stand-in for AUTOMATIC1111's server, in this process: one queue, one progress, one interrupt.

``img2img.json`` holds the fields of a request, with the commit that they were read at. Fields that
it does not know are ignored and wrong types refused, as the real one does. It paints: the photo in
few colours, nearer to the photo the less strength is asked for, tinted by the seed.
"""

import base64
import io
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TABLE = json.loads(Path(__file__).with_name("img2img.json").read_text())
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
SECONDS = 60.0
"""The net under every wait."""


class Refused(Exception):
    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refused(status: int, kind: str, detail: str = "", errors: str = "") -> Refused:
    return Refused(status, {"error": kind, "detail": detail, "body": "", "errors": errors})


class Webui:
    """What the process knows. Told so, it fails by ``mode``; ``stop_at`` holds it at a step until
    ``go`` is set; ``page`` is whether it also serves the progress of its own page."""

    def __init__(self, auth: str | None = None, mode: str = "", page: bool = True) -> None:
        self.auth, self.mode, self.page = auth, mode, page
        self.queue_lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.interrupts = 0
        self.at_once = self.most_at_once = 0
        self.stop_at: int | None = None
        self.held, self.go = threading.Event(), threading.Event()
        self.interrupted = threading.Event()
        self.current_task: str | None = None
        self.job, self.job_count = "", 0
        self.step = self.steps = 0

    def progress(self) -> dict[str, Any]:
        state = {
            "job": self.job,
            "job_count": self.job_count,
            "job_no": 0,
            "sampling_step": self.step,
            "sampling_steps": self.steps,
        }
        share = 0.01 + self.step / self.steps if self.job_count and self.steps else 0
        # Its module took current_task at import, so it is null for ever.
        return {"progress": share, "eta_relative": 0.0, "state": state, "current_task": None}

    def progress_of(self, asked: dict[str, Any]) -> dict[str, Any]:
        active = asked.get("id_task") == self.current_task
        told = {"active": active, "queued": False, "paused": False, "completed": False}
        if active:
            told |= {"progress": self.step / self.steps if self.steps else 0, "eta": 1.0}
        return told | {"id_live_preview": -1, "textinfo": "Waiting..."}

    @contextmanager
    def working(self, task: str, steps: int) -> Generator[None]:
        """Somebody's work at the head of the queue."""
        with self.queue_lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.interrupted.clear()
            self.job, self.job_count, self.steps, self.step = "scripts_img2img", 1, steps, 0
            self.current_task = task
            try:
                yield
                self.current_task = None
            finally:
                self.job, self.job_count = "", 0
                self.at_once -= 1

    def img2img(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        check(request)
        if self.mode == "oom":
            said = "CUDA out of memory. Tried to allocate 2.00 GiB"
            raise refused(500, "OutOfMemoryError", errors=said)
        if self.mode == "nans":
            raise refused(
                500, "NansException", errors="A tensor with all NaNs was produced in Unet."
            )
        if self.mode == "crash":
            raise refused(500, "RuntimeError", errors="mat1 and mat2 shapes cannot be multiplied")
        steps = max(1, int(request["steps"] * min(request["denoising_strength"], 0.999)))
        with self.working(request.get("force_task_id") or "task(img2img)", steps):
            for self.step in range(1, steps + 1):
                if self.step == self.stop_at:
                    self.held.set()
                    while not (self.go.wait(0.02) or self.interrupted.is_set()):
                        pass
                if self.interrupted.is_set():
                    break
            image = paint(request)
        return {"images": self.images(image), "parameters": {}, "info": "{}"}

    def images(self, image: Image.Image) -> list[str]:
        if self.mode == "no_image":
            return []
        if self.mode == "broken_base64":
            return ["iVBOR!!not base64"]
        if self.mode == "not_a_picture":
            return [base64.b64encode(b"PK\x03\x04 nothing to see").decode()]
        if self.mode == "black":
            image = Image.new("RGB", image.size)
        out = io.BytesIO()
        image.save(out, "PNG")
        return [base64.b64encode(out.getvalue()).decode()]


def check(request: dict[str, Any]) -> None:
    """As its own: 422 for a wrong type, 404 for a sampler or a photo that is not there."""
    for name, value in request.items():
        kind = TABLE["fields"].get(name)
        if kind and value is not None and not isinstance(value, _TYPES[kind]):
            detail = [{"loc": ["body", name], "msg": f"value is not a valid {kind}", "type": "x"}]
            raise Refused(422, {"detail": detail})
    if request.get("init_images") is None:
        raise refused(404, "HTTPException", "Init image not found")
    if (request.get("sampler_name") or "Euler") not in TABLE["samplers"]:
        raise refused(404, "HTTPException", "Sampler not found")


def paint(request: dict[str, Any]) -> Image.Image:
    data = base64.b64decode(request["init_images"][0])
    size = request["width"], request["height"]
    photo = Image.open(io.BytesIO(data)).convert("RGB").resize(size)
    few = np.asarray(photo.quantize(8).convert("RGB")).astype(float)
    tint = np.random.default_rng(request["seed"]).uniform(0.7, 1.0, 3)
    share = request["denoising_strength"]
    mixed = np.asarray(photo) * (1 - share) + few * tint * share
    return Image.fromarray(mixed.astype(np.uint8))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    webui: Webui

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked stands in ``paths``."""

    def do_GET(self) -> None:
        self._serve({"/sdapi/v1/progress": lambda _: self.webui.progress()})

    def do_POST(self) -> None:
        pages: dict[str, Any] = {
            "/sdapi/v1/img2img": self.webui.img2img,
            "/sdapi/v1/interrupt": self._interrupt,
        }
        if self.webui.page:
            pages["/internal/progress"] = self.webui.progress_of
        self._serve(pages)

    def _interrupt(self, _: dict[str, Any]) -> dict[str, Any]:
        self.webui.interrupts += 1
        self.webui.interrupted.set()
        return {}

    def _serve(self, pages: dict[str, Any]) -> None:
        path = self.path.partition("?")[0]
        self.webui.paths.append(path)
        length = int(self.headers.get("content-length") or 0)
        asked = json.loads(self.rfile.read(length) or b"{}")
        try:
            if self._fails(path):
                return
            self._guard(path)
            if path not in pages:
                raise Refused(404, {"detail": "Not Found"})
            self._answer(200, json.dumps(pages[path](asked)).encode())
        except Refused as refusal:
            self._answer(refusal.status, json.dumps(refusal.body).encode())

    def _guard(self, path: str) -> None:
        if self.webui.auth is None or not path.startswith("/sdapi/"):
            return
        wanted = "Basic " + base64.b64encode(self.webui.auth.encode()).decode()
        if self.headers.get("authorization") != wanted:
            raise refused(401, "HTTPException", "Incorrect username or password")

    def _fails(self, path: str) -> bool:
        """The ways of failing that are no answer of its own."""
        mode, painting = self.webui.mode, path.endswith("/img2img")
        if mode == "html":
            self._answer(200, b"<!doctype html><title>Gradio</title>", "text/html")
        elif mode == "moved":
            self._answer(307, b"", location="/elsewhere" + self.path)
        elif mode == "no_api":
            self._answer(404, b'{"detail": "Not Found"}')
        elif mode == "broken_off" and painting:
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{")
            self.close_connection = True
        elif mode == "enormous" and painting:
            self._pour()
        elif mode == "silent" and (painting or self.webui.held.is_set()):
            self.webui.held.set()
            self.webui.go.wait(SECONDS)
            self.close_connection = True
        else:
            return False
        return True

    def _pour(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\n")
        try:
            for _ in range(900):
                self.wfile.write(b"A" * 1_000_000)
        except OSError:
            self.close_connection = True

    def _answer(
        self, status: int, body: bytes, kind: str = "application/json", **more: str
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def webui(**options: Any) -> Generator[tuple[Webui, str]]:
    """The stand-in at work, and its address."""
    state = Webui(**options)
    handler = type("Handler", (_Handler,), {"webui": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state, f"http://127.0.0.1:{server.server_port}"
    finally:
        state.go.set()
        server.shutdown()
        thread.join()
        server.server_close()


def until(true: Any) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
