"""What Celery's tools call a worker: `%h` is written out only by Celery's own command line."""

import os
import socket

from usina.worker import node_name


def test_a_node_is_named_after_its_process_and_its_machine() -> None:
    assert node_name() == f"worker-{os.getpid()}@{socket.gethostname()}"
