"""What the doctor tells of a bucket: where it is, whether it lets us in, how its clock goes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.storage.proxy import Fault, dated, error, hang, proxy_before
from tests.storage.s3_server import access, settings_of_bucket
from usina.doctor import Check, diagnose, settings_in_force
from usina.settings import Settings

SECRET = "a-secret-that-nobody-may-see"


def told(folder: Path, **chosen: str) -> dict[str, Check]:
    settings = Settings(data=folder, sandbox="off", _env_file=None, **chosen)
    found = diagnose(settings)
    shown = f"{found}{settings_in_force(settings)}"
    assert settings.s3_secret_key is not None
    assert settings.s3_secret_key.get_secret_value() not in shown
    return {check.name: check for check in found}


@pytest.fixture
def behind(tmp_path: Path) -> Callable[[Fault], dict[str, Check]]:
    """The findings of a platform whose server answers so."""

    def look(fault: Fault) -> dict[str, Check]:
        with proxy_before(access().url) as proxy:
            chosen = settings_of_bucket(
                replace(access(), endpoint=proxy.url, public_endpoint="https://files.example.org")
            )
            proxy.break_next(fault, times=1000)
            return told(tmp_path, **chosen)

    return look


def date_in(seconds: float) -> Fault:
    return dated(format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True))


def test_a_bucket_that_is_there(behind: Callable[[Fault], dict[str, Check]]) -> None:
    found = behind(date_in(0))
    assert found["bucket"].ok
    assert "s3://usina-" in found["bucket"].detail
    assert "http://127.0.0.1:" in found["bucket"].detail
    assert "https://files.example.org" in found["bucket"].detail
    assert found["bucket's clock"].ok


@pytest.mark.parametrize(("seconds", "way"), [(600, "ahead of"), (-600, "behind")])
def test_a_clock_that_goes_otherwise(
    behind: Callable[[Fault], dict[str, Check]], seconds: int, way: str
) -> None:
    clock = behind(date_in(seconds))["bucket's clock"]
    assert clock.ok is None
    assert way in clock.detail
    assert "NTP" in clock.fix


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (error(403, "SignatureDoesNotMatch"), "the secret key is not the right one"),
        (error(404, "NoSuchBucket"), "its bucket does not exist"),
        (hang, "timed out"),
    ],
    ids=["key", "no-bucket", "hang"],
)
def test_a_bucket_that_does_not_let_us_in(
    behind: Callable[[Fault], dict[str, Check]], fault: Fault, why: str
) -> None:
    found = behind(fault)
    assert found["bucket"].ok is False
    assert why in found["bucket"].detail
    assert "S3_ENDPOINT_URL" in found["bucket"].fix
    assert "bucket's clock" not in found


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with proxy_before(access().url) as proxy:
        gone = proxy.url
    found = told(
        tmp_path,
        storage_url="s3://bucket",
        s3_endpoint_url=gone,
        s3_access_key="key",
        s3_secret_key=SECRET,
    )
    assert found["bucket"].ok is False
    assert "refused" in found["bucket"].detail
