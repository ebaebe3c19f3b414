"""Metrics of a process that has no API."""

import socket

import httpx2
import pytest

from usina.kernel.telemetry import serve_metrics


def test_metrics_are_served_until_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            serve_metrics("127.0.0.1", port)
    close = serve_metrics("127.0.0.1", port)
    try:
        told = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    finally:
        close()
    assert "usina_queue_depth" in told
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/metrics")
