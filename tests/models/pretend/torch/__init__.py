"""As much of PyTorch as the stand-ins ask of it: a GPU is there where one is visible."""

import os
from contextlib import nullcontext

import pretence

pretence.spend("import")

bfloat16 = float16 = "half"
no_grad = nullcontext


def autocast(device_type, dtype):
    return nullcontext()


class OutOfMemoryError(RuntimeError):
    __module__ = "torch"


class cuda:
    OutOfMemoryError = OutOfMemoryError

    @staticmethod
    def is_available():
        return bool(os.environ.get("CUDA_VISIBLE_DEVICES")) and pretence.fault() != "no_gpu"

    @staticmethod
    def reset_peak_memory_stats():
        pass

    held = 1

    @staticmethod
    def max_memory_allocated():
        return round(6_327_812_608 * cuda.held)
