"""Whether a detector can run here: ONNX Runtime is there, and the file of the settings is one."""

import sys
from importlib.util import find_spec

from usina_runner import Failure

if find_spec("onnxruntime") is None:
    sys.exit("ONNX Runtime is not installed: pip install 'usina[vision]'.")

from usina.apps.vision.network.lodge import Lodge, threshold

try:
    threshold()
    Lodge().detector(cores=1)
except Failure as fault:
    sys.exit(str(fault))
