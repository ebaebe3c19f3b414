"""Whether a real GPU can be tried here: the one reason to leave a test out, and it is told."""

import os
import shutil
import subprocess
from functools import cache


@cache
def why_no_gpu() -> str | None:
    """Null where there is one, and a Python with torch for it."""
    tool = shutil.which("nvidia-smi")
    if tool is None or subprocess.run([tool, "-L"], capture_output=True).returncode:
        return "none, nvidia-smi shows no card"
    if not os.environ.get("USINA_TEST_TORCH_PYTHON"):
        return "not tried, USINA_TEST_TORCH_PYTHON names no Python with torch"
    return None
