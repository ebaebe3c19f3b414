"""The long form: ``python -m tests.torture [--rounds N] [--seed S] [--only NAME] [--steps N]``."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.jobs.machine import JobStoreOnPostgresql, JobStoreOnSqlite
from tests.torture.story import PLACES, kill_at


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="kills per failpoint")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--only", help="one failpoint")
    parser.add_argument("--examples", type=int, default=2000, help="of the state machine")
    options = parser.parse_args()
    broken = _kills(options.rounds, options.seed, options.only)
    for store in (JobStoreOnSqlite, JobStoreOnPostgresql):
        print(f"state machine, {store.engine}: {options.examples} examples", flush=True)
        run_state_machine_as_test(
            store,
            settings=settings(
                max_examples=options.examples,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(f"{broken} kills with broken invariants" if broken else "every invariant held")
    return 1 if broken else 0


def _kills(rounds: int, seed: int, only: str | None) -> int:
    broken = 0
    for name in [only] if only else PLACES:
        for number in range(seed, seed + rounds):
            began = time.monotonic()
            folder = Path(tempfile.mkdtemp(prefix="usina-torture-"))
            wrong = kill_at(name, folder / "data", number)
            verdict = "ok" if not wrong else "BROKEN"
            print(f"{verdict:6} {name} seed {number} {time.monotonic() - began:.1f} s", flush=True)
            for line in wrong:
                print(f"       {line}")
            broken += bool(wrong)
            if wrong:
                print(f"       kept in {folder}")
            else:
                shutil.rmtree(folder)
    return broken


sys.exit(main())
