"""What programs really say when a GPU fails them, and what does not mean that."""

import pytest

from usina.kernel.runners.gpu_failure import told_apart
from usina.kernel.runners.outcome import Failure

NO_MEMORY = [
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; ...)",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total ...",
    "RuntimeError: CUDA error: out of memory",
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "[TRT] [E] 2: [virtualMemoryBuffer.cpp::resizePhysical::140] Error Code 2: OutOfMemory (no ...",
    "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to ...",
    "onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of "
    "size 268435456",
    "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory",
]
NO_START = [
    "RuntimeError: Unexpected error from cudaGetDeviceCount(): CUDA driver initialization failed",
    "RuntimeError: No CUDA GPUs are available",
    "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
    "cupy_backends.cuda.api.runtime.CUDARuntimeError: cudaErrorNoDevice: no CUDA-capable device",
]
LOST = [
    "RuntimeError: CUDA error: uncorrectable ECC error encountered",
    "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.",
]
CRASH = Failure("runner_failed", "exit_code", "The program ended with exit code 1.")


@pytest.mark.parametrize("said", NO_MEMORY)
def test_a_gpu_without_memory_is_told_by_any_library(said: str) -> None:
    for failure in (Failure("runner_failed", "runtime_error", said), CRASH):
        found = told_apart(failure, f"loading\n{said}\n")
        assert (found.code, found.reason, found.retryable) == ("out_of_memory", "gpu", False)
        assert said[:40] in found.message


@pytest.mark.parametrize(
    ("said", "reason"), [(s, "gpu_failed") for s in NO_START] + [(s, "gpu_lost") for s in LOST]
)
def test_a_gpu_that_fails_is_no_fault_of_the_program(said: str, reason: str) -> None:
    found = told_apart(CRASH, said)
    assert (found.code, found.reason, found.retryable) == ("unavailable", reason, True)


def test_other_failures_stay_what_they_are() -> None:
    own = Failure("invalid_input", "no_words", "CUDA out of memory is no word.")
    assert told_apart(own, "CUDA out of memory") is own
    assert told_apart(CRASH, "Segmentation fault") is CRASH
    caught_before = "CUDA out of memory\n" + "going on with less\n" * 20
    assert told_apart(CRASH, caught_before) is CRASH
