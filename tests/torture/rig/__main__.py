"""``python -m tests.torture.rig [--seed N] [--jobs N] [--kills N]``: exit code 1 if it broke."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.torture.rig.plan import Plan
from tests.torture.rig.run import Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.torture.rig", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=1_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=f"usina-rig-{options.seed}-"))
    plan = Plan(options.seed, options.jobs, options.kills, folder)
    print(f"seed {plan.seed}: {plan.jobs} jobs, {plan.kills} kills, in {folder}", flush=True)
    report = asyncio.run(Run(plan).go())
    report.save()
    print(report.text(), flush=True)
    if report.broken:
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
