"""The state machine of the store, in its short form; `make torture` runs the long one."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.jobs.machine import JobStore, JobStoreOnPostgresql, JobStoreOnSqlite


@pytest.mark.parametrize("store", [JobStoreOnPostgresql, JobStoreOnSqlite])
def test_any_order_of_operations_keeps_the_store_true(store: type[JobStore]) -> None:
    run_state_machine_as_test(
        store,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert store.played >= 60
