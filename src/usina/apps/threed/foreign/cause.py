"""Why a foreign model failed, read from its last words; each with what to do about it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from usina_runner import Failure


@dataclass(frozen=True, slots=True)
class _Cause:
    """``words`` are looked for in a line; what they find stands for ``{0}`` in the ``message``."""

    words: re.Pattern[str]
    code: str
    reason: str
    message: str
    retryable: bool | None = False


_CAUSES: Final = (
    _Cause(
        re.compile(r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED"),
        "out_of_memory",
        "gpu",
        "The GPU's memory did not suffice. Ask for less (a smaller texture_resolution, a smaller "
        "picture, the model's low memory mode), or run it on a larger card.",
    ),
    _Cause(
        re.compile(r"GatedRepoError|401 Client Error|403 Client Error|gated repo|is restricted"),
        "unavailable",
        "weights_gated",
        "The model's weights are handed out only to who has accepted their terms: accept them on "
        "the model's page, log in with that account, and download them once.",
    ),
    _Cause(
        re.compile(
            r"LocalEntryNotFoundError|OfflineModeIsEnabled|RepositoryNotFoundError"
            r"|[Cc]ouldn't connect to|is not a local folder|Cannot find the requested files"
        ),
        "unavailable",
        "weights_missing",
        "The model's weights are not on this machine: download them once, and set HF_HOME or the "
        "model's own variable to where they are.",
    ),
    _Cause(
        re.compile(
            r"Found no NVIDIA driver|No CUDA GPUs are available|not compiled with CUDA"
            r"|CUDA driver version is insufficient|CUDA (?:device|is) .*required|no_gpu"
        ),
        "unavailable",
        "no_gpu",
        "The model found no GPU that it can use: look at the driver, and at whether the model's "
        "environment has a PyTorch built for CUDA.",
    ),
    _Cause(
        re.compile(
            r"(?:unrecognized arguments|no attribute|invalid choice|requires).*"
            r"(reduction_count_type|triangle|quad|gpytoolbox|pynim)"
        ),
        "unavailable",
        "install_broken",
        "The model's environment has no remeshers ({0}): install requirements-remesh.txt of its "
        "checkout too.",
    ),
    _Cause(
        re.compile(
            r"ModuleNotFoundError: (.+)|ImportError: (.+)|(.+: undefined symbol: \S+)"
            r"|(.+: cannot open shared object file.*)"
        ),
        "unavailable",
        "install_broken",
        "The model's environment is not whole ({0}): install its requirements again, the native "
        "extensions with the same PyTorch and compiler that it runs with.",
    ),
    _Cause(
        re.compile(r"Error while loading (?:state_dict|weights)|Error\(s\) in loading state_dict"),
        "unavailable",
        "weights_unusable",
        "The weights are not this model's: look at what pretrained_model or its variable names.",
    ),
)


def cause_of(lines: Iterable[str], ended: str) -> Failure:
    """What the last ``lines`` of a program mean, the latest first; ``ended`` says how it ended, as
    ``ended with exit code 1``."""
    said = [line.strip() for line in lines if line.strip()]
    for line in reversed(said):
        for cause in _CAUSES:
            found = cause.words.search(line)
            if found is not None:
                detail = next((group for group in found.groups() if group), "")
                message = cause.message.format(_shown(detail))
                return Failure(cause.code, cause.reason, message, cause.retryable)
    last = f": {_shown(said[-1])}" if said else " without a word"
    return Failure(
        "runner_failed", "program_failed", f"The model's program {ended}{last}. The log has more."
    )


def _shown(line: str) -> str:
    """Short, and without a path of the machine."""
    return re.sub(r"(?<![\w.])/[^\s'\":,]+/", "", line)[:200].rstrip(".")
