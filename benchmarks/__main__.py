"""``python -m benchmarks [NAME ...]``: each benchmark in turn; exit 1 if one misses its aim."""

import importlib
import os
import sys

# What the rooms' science takes is told for one core; numeric libraries read this as they load.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

NAMES = (
    *("avatar", "cog", "cycle", "distributed", "heartbeat", "history", "identity", "lattice"),
    *("live", "models", "openfoam", "packing", "painted", "parametric", "runner"),
    *("scale", "solid", "start", "transfer", "vision"),
)


def main() -> int:
    wanted = sys.argv[1:] or list(NAMES)
    missed = 0
    for name in wanted:
        print(f"== {name}", flush=True)
        sys.argv = [name]
        missed += bool(importlib.import_module(f"benchmarks.{name}").main())
    return 1 if missed else 0


sys.exit(main())
