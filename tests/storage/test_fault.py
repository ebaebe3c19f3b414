"""A server that stumbles is not noticed; one that lies down is told of, in bounded time."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from tests.storage.proxy import Fault, Proxy, dated, error, hang, lost, proxy_before, truncated
from tests.storage.s3_server import access, fresh_bucket
from usina.kernel.errors import StorageFull, Unavailable
from usina.kernel.storage.s3 import S3Store
from usina.kernel.storage.s3_address import S3Place
from usina.kernel.storage.s3_calls import Patience
from usina.kernel.storage.s3_writer import PART_BYTES

KEY = "files/organization/one"
SHORT = Patience(connect_seconds=1, answer_seconds=0.6, pauses_seconds=(0.01,))
TRIES = 1 + len(SHORT.pauses_seconds)
NOT_REPEATED = ("delete", "hang")
"""obstore sends a delete again after an error, not after a silence; the sweep does."""

LARGE = b"0123456789" * (PART_BYTES // 8)

FAULTS: dict[str, Fault] = {
    "500": error(500, "InternalError"),
    "slow-down": error(503, "SlowDown"),
    "hang": hang,
    "lost": lost,
}


@pytest.fixture
def proxy() -> Generator[Proxy]:
    with proxy_before(access().url) as running:
        yield running


@pytest.fixture
def store(proxy: Proxy) -> Generator[S3Store]:
    behind = replace(access(), endpoint=proxy.url)
    opened = S3Store(S3Place.of(f"s3://{fresh_bucket()}/usina"), behind, SHORT)
    opened.put("files/organization/here", b"0123456789")
    yield opened
    opened.close()


def _write_large(store: S3Store) -> None:
    writer = store.writer(KEY)
    writer.write(LARGE)
    writer.commit()


def _read(store: S3Store) -> None:
    assert b"".join(store.chunks("files/organization/here", 0, 10)) == b"0123456789"


USES: dict[str, Callable[[S3Store], object]] = {
    "put": lambda store: store.put(KEY, b"x"),
    "write": _write_large,
    "read": _read,
    "size": lambda store: store.size("files/organization/here"),
    "list": lambda store: list(store.list("files/")),
    "delete": lambda store: store.delete(["files/organization/here"]),
    "unfinished": lambda store: store.clear_unfinished(store.opened_at),
}


@pytest.mark.parametrize(
    ("use", "fault"), [both for both in product(USES, FAULTS) if both != NOT_REPEATED]
)
def test_a_fault_that_passes_is_not_noticed(
    proxy: Proxy, store: S3Store, use: str, fault: str
) -> None:
    proxy.break_next(FAULTS[fault], times=1)
    USES[use](store)
    assert proxy.broken == 1
    if use == "write":
        assert b"".join(store.chunks(KEY, 0, len(LARGE))) == LARGE


@pytest.mark.parametrize("fault", ["slow-down", "hang"])
@pytest.mark.parametrize("use", USES)
def test_a_fault_that_stays_is_told_with_a_time(
    proxy: Proxy, store: S3Store, use: str, fault: str
) -> None:
    proxy.break_next(FAULTS[fault], times=1000)
    with pytest.raises(Unavailable) as refusal:
        USES[use](store)
    assert refusal.value.code == "storage_unavailable"
    assert refusal.value.retry_after_seconds
    assert proxy.broken == (1 if (use, fault) == NOT_REPEATED else TRIES), "tries are bounded"


async def test_a_read_on_the_loop_tells_the_same(proxy: Proxy, store: S3Store) -> None:
    proxy.break_next(hang, times=1000)
    with pytest.raises(Unavailable):
        async for _ in store.read("files/organization/here", 0, 10):
            pass


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_answer_that_is_lost_at_any_step_of_a_large_object_costs_nothing(
    proxy: Proxy, store: S3Store, method: str
) -> None:
    """Beginning, each part, completing: the request was carried out, its answer never came."""
    writer = store.writer(KEY)
    proxy.break_next(lost, times=1, method=method)
    writer.write(LARGE)
    assert proxy.broken == 1
    proxy.break_next(lost, times=1, method=method)
    writer.commit()
    assert proxy.broken == 1
    assert b"".join(store.chunks(KEY, 0, len(LARGE))) == LARGE


def test_a_completion_that_somebody_elses_object_answers_is_no_success(
    proxy: Proxy, store: S3Store
) -> None:
    writer = store.writer(KEY)
    writer.write(LARGE)
    assert store.clear_unfinished(store.opened_at.replace(year=9999)) == 1
    store.put(KEY, b"somebody else's")
    with pytest.raises(Unavailable) as refusal:
        writer.commit()
    assert refusal.value.code == "storage_unavailable"
    writer.abort()
    assert b"".join(store.chunks(KEY, 0, 15)) == b"somebody else's"


def test_a_success_that_holds_an_error_is_none(proxy: Proxy, store: S3Store) -> None:
    writer = store.writer(KEY)
    writer.write(LARGE)
    proxy.break_next(error(200, "InternalError"), times=1000, method="POST")
    with pytest.raises(Unavailable):
        writer.commit()
    assert store.size(KEY) is None
    writer.abort()


def test_a_body_that_breaks_off_is_read_again(proxy: Proxy, store: S3Store) -> None:
    proxy.break_next(truncated, times=1, method="GET")
    _read(store)
    assert proxy.broken == 1


def test_a_body_that_always_breaks_off_is_never_taken_for_the_whole(
    proxy: Proxy, store: S3Store
) -> None:
    proxy.break_next(truncated, times=1000, method="GET")
    with pytest.raises(Unavailable) as refusal:
        _read(store)
    assert refusal.value.code == "storage_unavailable"


def test_an_abort_while_the_server_is_down_is_left_to_the_sweep(
    proxy: Proxy, store: S3Store
) -> None:
    writer = store.writer(KEY)
    writer.write(LARGE)
    proxy.break_next(error(503, "SlowDown"), times=1000)
    writer.abort()
    proxy.break_next(lost, times=0)
    assert store.clear_unfinished(store.opened_at.replace(year=9999)) == 1


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
@pytest.mark.parametrize("use", USES)
def test_who_is_not_let_in_is_told_at_once(
    proxy: Proxy, store: S3Store, use: str, code: str
) -> None:
    proxy.break_next(error(403, code), times=1000)
    with pytest.raises(Unavailable) as refusal:
        USES[use](store)
    assert refusal.value.code == "storage_refused"
    assert "key" in refusal.value.detail
    assert "127.0.0.1" not in refusal.value.detail
    assert proxy.broken == 1


@pytest.mark.parametrize("use", ["put", "write"])
def test_a_quota_that_is_used_up_is_a_full_disk(proxy: Proxy, store: S3Store, use: str) -> None:
    proxy.break_next(error(403, "QuotaExceeded"), times=1000)
    with pytest.raises(StorageFull):
        USES[use](store)


def test_a_server_that_is_not_there_is_told_so() -> None:
    with proxy_before(access().url) as proxy:
        gone = replace(access(), endpoint=proxy.url)
    with pytest.raises(Unavailable) as refusal:
        S3Store(S3Place.of("s3://bucket"), gone, SHORT)
    assert refusal.value.code == "storage_unavailable"


def test_the_time_is_the_servers_however_ours_goes(proxy: Proxy, store: S3Store) -> None:
    proxy.break_next(dated("Tue, 01 Jan 2030 00:00:00 GMT"), times=1000)
    assert store.now() == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("fault", ["slow-down", "hang"])
def test_a_check_is_decided_within_two_seconds(proxy: Proxy, store: S3Store, fault: str) -> None:
    proxy.break_next(FAULTS[fault], times=1000)
    began = time.monotonic()
    with pytest.raises(Unavailable) as refusal:
        store.check()
    assert time.monotonic() - began < 2.5
    assert proxy.broken == 1
    assert refusal.value.code == "storage_unavailable"


def test_a_copy_whose_answer_is_lost_is_made(proxy: Proxy, store: S3Store) -> None:
    proxy.break_next(lost, times=1, method="PUT")
    store.copy("files/organization/here", KEY)
    assert proxy.broken == 1
    assert b"".join(store.chunks(KEY, 0, 10)) == b"0123456789"


def test_a_copy_in_parts_that_fails_leaves_none(
    proxy: Proxy, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.kernel.storage.s3_copy.STEP_BYTES", 5)
    proxy.break_next(error(503, "SlowDown"), times=TRIES, method="PUT")
    with pytest.raises(Unavailable):
        store.copy("files/organization/here", KEY)
    assert store.size(KEY) is None
    assert store.clear_unfinished(store.opened_at.replace(year=9999)) == 0


async def test_a_close_waits_only_a_moment_for_a_server_that_hangs(proxy: Proxy) -> None:
    """And what it had begun keeps no process that leaves."""
    before = set(threading.enumerate())
    behind = replace(access(), endpoint=proxy.url)
    store = S3Store(S3Place.of(f"s3://{fresh_bucket()}/usina"), behind, Patience())
    proxy.break_next(hang, times=1000)
    asked = asyncio.create_task(store.run(lambda: store.size(KEY)))
    while not proxy.broken:
        await asyncio.sleep(0.01)
    began = time.monotonic()
    await asyncio.to_thread(store.close)
    assert time.monotonic() - began < Patience().answer_seconds / 2
    left = [t for t in set(threading.enumerate()) - before if t.name.startswith("usina-store")]
    assert left
    assert all(thread.daemon for thread in left)
    with pytest.raises(RuntimeError):
        await store.run(lambda: None)
    asked.cancel()
