"""What programs say when a GPU has no memory left, does not begin, or is lost.

The words are those of CUDA and of the libraries above it; a program's exit code says nothing of it.
"""

import re
from typing import Final

from usina.kernel.runners.outcome import Failure

_LAST_LINES: Final = 12
OUT_OF_GPU: Final = "gpu"
CARD_FAILED: Final = "gpu_failed"
CARD_LOST: Final = "gpu_lost"

_NO_MEMORY: Final = re.compile(
    r"(CUDA|HIP) out of memory|(CUDA|HIP) error: out of memory|cuda\.OutOfMemoryError"
    r"|torch\.OutOfMemoryError|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY"
    r"|hipErrorOutOfMemory|(CUBLAS|CUDNN|CUFFT|CUSOLVER|CUSPARSE)_STATUS_ALLOC_FAILED"
    r"|CUFFT_ALLOC_FAILED|cudaMalloc\w* failed: out of memory"
    r"|RESOURCE_EXHAUSTED: (Out of memory|OOM)|OOM when allocating tensor"
    r"|Error Code \d+: OutOfMemory|OutOfMemory \(Requested size was"
    r"|Failed to allocate memory for requested buffer of size"
    r"|VK_ERROR_OUT_OF_DEVICE_MEMORY|ErrorOutOfDeviceMemory|CL_MEM_OBJECT_ALLOCATION_FAILURE"
)
_LOST: Final = re.compile(
    r"GPU is lost|fallen off the bus|uncorrectable ECC error|cudaErrorECCUncorrectable"
    r"|CUDA_ERROR_ECC_UNCORRECTABLE|NVRM: Xid"
)
_NO_START: Final = re.compile(
    r"CUDA driver initialization failed|CUDA error: initialization error"
    r"|cudaErrorInitializationError|CUDA_ERROR_NOT_INITIALIZED|CUDA_ERROR_NO_DEVICE"
    r"|cudaErrorNoDevice|no CUDA-capable device is detected|No CUDA GPUs are available"
    r"|CUDA-capable device\(s\) is/are busy or unavailable|cudaErrorDevicesUnavailable"
    r"|CUDA unknown error|cudaErrorSystemNotReady|CUDA_ERROR_SYSTEM_NOT_READY"
)


def told_apart(failure: Failure, log_tail: str) -> Failure:
    """The failure, or what it really was if its message or the end of the log tells of a GPU."""
    if failure.code not in {"runner_failed", "out_of_memory"} or failure.reason == OUT_OF_GPU:
        return failure
    last = "\n".join(log_tail.splitlines()[-_LAST_LINES:])
    for said in (failure.message, last):
        if _NO_MEMORY.search(said):
            message = f"The GPU had not enough memory for it. {_line(_NO_MEMORY, said)}"
            return Failure("out_of_memory", OUT_OF_GPU, message, retryable=False)
        if _LOST.search(said):
            message = f"The GPU was lost amid the work. {_line(_LOST, said)}"
            return Failure("unavailable", CARD_LOST, message, retryable=True)
        if _NO_START.search(said):
            message = f"The GPU did not begin to work. {_line(_NO_START, said)}"
            return Failure("unavailable", CARD_FAILED, message, retryable=True)
    return failure


def _line(words: re.Pattern[str], text: str) -> str:
    line = next(line.strip() for line in text.splitlines() if words.search(line))
    return f"It said: {line[:300]}"
