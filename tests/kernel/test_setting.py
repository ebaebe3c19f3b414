"""Settings and the doctor."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.postgres import postgres_server
from usina.doctor import diagnose, settings_in_force
from usina.faces.cli.failure import CommandError
from usina.faces.cli.setting import settings_with
from usina.ground import CanNotStart, postgres_options, redis_of
from usina.kernel.db.postgres import (
    NotUsable,
    open_postgres,
    revision_of_postgres,
    upgrade_postgres,
)
from usina.kernel.registry import UnknownRoute, discover_apps, load_registry
from usina.settings import Settings
from usina.up import refuse_what_is_distributed


def test_the_origins_variables_and_ours_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USINA_RUNNERS", "/a:/b")
    monkeypatch.setenv("FIRST_SUPERUSER_API_KEY", "k" * 40)
    monkeypatch.setenv("USINA_LEASE_SECONDS", "7.5")
    found = Settings()
    assert found.runners == (Path("/a"), Path("/b"))
    assert found.first_superuser_api_key is not None
    assert found.lease.total_seconds() == 7.5


def test_a_value_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USINA_SLOTS", "0")
    with pytest.raises(ValidationError, match="USINA_SLOTS"):
        Settings()


def test_servers_are_named_in_the_origins_pieces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_SERVER", "db")
    monkeypatch.setenv("POSTGRES_USER", "usina")
    monkeypatch.setenv("POSTGRES_PASSWORD", "p@ss/w:rd")
    monkeypatch.setenv("REDIS_HOST", "redis")
    monkeypatch.setenv("CELERY_WORKER_CONCURRENCY", "3")
    found = Settings()
    assert found.database_url == "postgresql://usina:p%40ss%2Fw%3Ard@db:5432/usina"
    assert redis_of(found) == "redis://redis:6379/0"
    assert found.slots == 3
    monkeypatch.setenv("DATABASE_URL", "postgresql://whole/d")
    monkeypatch.setenv("REDIS_URL", "redis://whole")
    monkeypatch.setenv("USINA_SLOTS", "4")
    assert (Settings().database_url, Settings().redis_url) == (
        "postgresql://whole/d",
        "redis://whole",
    )
    assert Settings().slots == 4


def test_pieces_without_a_server_are_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_USER", "usina")
    monkeypatch.setenv("POSTGRES_PASSWORD", "secret")
    assert Settings().database_url is None


def test_the_password_of_an_address_is_masked_too() -> None:
    shown = dict(
        settings_in_force(
            Settings.model_validate(
                {
                    "database_url": "postgresql://usina:very secret@db/usina",
                    "redis_url": "redis://:very secret@redis:6379/0",
                }
            )
        )
    )
    assert shown["DATABASE_URL"] == "postgresql://usina:********@db/usina"
    assert shown["REDIS_URL"] == "redis://:********@redis:6379/0"


async def test_models_are_routed_and_what_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("USINA_ROUTES", "echo-v1=io, relief-v1=gpu")
    routes = Settings().routes
    apps = discover_apps("usina.apps")
    registry = await load_registry(apps, (), routes)
    queues = {model.name: model.queue for model in registry.all()}
    assert (queues["echo-v1"], queues["relief-v1"]) == ("io", "gpu")
    assert queues["inflate-v1"] == "default"
    with pytest.raises(UnknownRoute, match=r"'echo-v2'.*Did you mean 'echo-v1'"):
        await load_registry(apps, (), {"echo-v2": "io"})
    monkeypatch.setenv("USINA_ROUTES", "echo-v1=fast")
    with pytest.raises(ValidationError, match=r"echo-v1=fast.*no such queue.*default, gpu, io"):
        Settings()


def test_secrets_are_masked_where_settings_are_shown() -> None:
    shown = dict(settings_in_force(Settings(first_superuser_api_key="very secret")))
    assert shown["FIRST_SUPERUSER_API_KEY"] == "********"
    assert "very secret" not in str(shown)


def test_a_bucket_is_named_by_the_origins_variables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USINA_STORAGE_URL", "s3://bucket/usina")
    monkeypatch.setenv("MINIO_ENDPOINT", "minio:9000")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "who")
    monkeypatch.setenv("MINIO_SECRET_KEY", "very secret")
    shown = dict(settings_in_force(Settings()))
    assert shown["S3_ENDPOINT_URL"] == "minio:9000"
    assert shown["S3_ACCESS_KEY"] == shown["S3_SECRET_KEY"] == "********"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"USINA_STORAGE_URL": "s3://bucket"}, "a bucket needs S3_ACCESS_KEY"),
        ({"USINA_STORAGE_URL": "ftp://bucket"}, "s3://bucket/prefix"),
        ({"S3_ACCESS_KEY": "who"}, "one is set, and the other is not"),
        ({"S3_SECRET_KEY": "very secret"}, "one is set, and the other is not"),
        ({"S3_ENDPOINT_URL": "https://user:word@host"}, "address of a server"),
        ({"S3_ENDPOINT_URL": "https://host/path"}, "address of a server"),
        ({"S3_PUBLIC_ENDPOINT_URL": "file:///x"}, "address of a server"),
        ({"DATABASE_URL": "mysql://host/usina"}, "not an address like postgresql://"),
        ({"REDIS_URL": "http://host"}, "address of a Redis"),
    ],
)
def test_a_server_that_can_not_be_reached_so_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=told):
        Settings()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss@h:6543/d",
        "postgresql+asyncpg://u:p%40ss@h:6543/d",
        "postgres://u:p%40ss@h:6543/d?sslmode=require",
    ],
)
def test_a_database_is_named_in_each_of_the_usual_ways(url: str) -> None:
    settings = Settings.model_validate({"DATABASE_URL": url})
    assert settings.database_url == url
    asked = open_postgres(url).url
    assert (asked.username, asked.password, asked.host) == ("u", "p@ss", "h")
    assert (asked.port, asked.database) == (6543, "d")
    shown = dict(settings_in_force(settings))["DATABASE_URL"]
    assert shown == url.replace("p%40ss", "********")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/d",
        "postgresql:///",
        "postgresql://u:secret@h",
        "postgresql://u:secret@h:port/d",
        "postgresql://u:se@cret@h/d",
        "postgresql://u:se/secret@h/d",
        "postgresql://u:se#secret@h/d",
        "secret",
        "",
    ],
)
def test_a_wrong_address_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ValidationError, match="not an address like postgresql://") as refused:
        Settings()
    assert "secret" not in str(refused.value)
    with pytest.raises(CommandError, match="DATABASE_URL: ") as told:
        settings_with()
    assert "secret" not in str(told.value)


def test_a_database_is_found_by_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_USER", "plant")
    monkeypatch.setenv("POSTGRES_PASSWORD", "p@ss/:word")
    monkeypatch.setenv("POSTGRES_DB", "usina db")
    assert Settings().database_url is None
    monkeypatch.setenv("POSTGRES_SERVER", "db")
    url = Settings().database_url
    assert url == "postgresql://plant:p%40ss%2F%3Aword@db:5432/usina%20db"
    made = open_postgres(url).url
    assert (made.username, made.password, made.host) == ("plant", "p@ss/:word", "db")
    assert (made.port, made.database) == (5432, "usina db")
    monkeypatch.delenv("POSTGRES_SERVER")
    monkeypatch.setenv("POSTGRES_HOST", "::1")
    monkeypatch.setenv("POSTGRES_PORT", "6432")
    assert "@[::1]:6432/" in str(Settings().database_url)
    shown = dict(settings_in_force(Settings()))
    assert "word" not in str(shown)
    monkeypatch.setenv("DATABASE_URL", "postgresql://other/d")
    assert Settings().database_url == "postgresql://other/d"


async def test_a_socket_is_a_host_too(monkeypatch: pytest.MonkeyPatch) -> None:
    server = postgres_server()
    monkeypatch.setenv("POSTGRES_HOST", str(server.folder))
    monkeypatch.setenv("POSTGRES_DB", "postgres")
    settings = Settings(database_connections=3, database_lock_seconds=4)
    assert settings.database_url is not None
    assert await revision_of_postgres(settings.database_url) is None
    options = postgres_options(settings)
    assert (options.connections, options.lock_seconds, options.pooler) == (3, 4, False)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("postgresql://nobody:secret@/postgres?host={folder}", "nobody"),
        ("postgresql://postgres:secret@/nothing?host={folder}", "nothing"),
        ("postgresql://postgres:secret@/d?host={folder}/none", "none"),
    ],
)
async def test_a_database_that_lets_nobody_in_is_said_so_without_the_password(
    where: str, told: str
) -> None:
    url = where.format(folder=postgres_server().folder)
    for use in (revision_of_postgres, upgrade_postgres):
        with pytest.raises(NotUsable, match=told) as refused:
            await use(url)
        assert "secret" not in refused.value.detail


def test_redis_is_found_by_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "there")
    monkeypatch.setenv("CELERY_WORKER_CONCURRENCY", "7")
    assert (redis_of(Settings()), Settings().slots) == ("redis://there:6379/0", 7)
    monkeypatch.setenv("REDIS_PORT", "6380")
    assert redis_of(Settings()) == "redis://there:6380/0"
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere/1")
    assert redis_of(Settings()) == "redis://elsewhere/1"


@pytest.mark.parametrize(
    ("variable", "address"), [("DATABASE_URL", "postgresql://h/n"), ("REDIS_URL", "redis://h")]
)
def test_one_process_does_not_start_on_what_many_share(
    tmp_path: Path, variable: str, address: str
) -> None:
    settings = Settings.model_validate({"data": tmp_path / "data", variable: address})
    with pytest.raises(CanNotStart, match=f"{variable} is set, and `usina up` is one process"):
        refuse_what_is_distributed(settings)


def test_the_doctor_names_what_is_wrong_and_its_fix(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    good = 'version = "1"\ntask = "t"\ndescription = "d"\nlicense = "MIT"\n'
    (broken / "runner.toml").write_text(f'name = "x"\n{good}command = ["sh"]\nnonsense = 1\n')
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "runner.toml").write_text(
        f'name = "missing-v1"\n{good}command = ["no-such-program-anywhere"]\n'
    )
    found = diagnose(Settings(data=tmp_path / "data", runners=(tmp_path,)))
    assert all(check.ok is not False for check in found if check.area == "platform")
    by_name = {check.name: check for check in found}
    assert by_name["echo-v1"].ok
    assert not by_name["missing-v1"].ok
    assert "no-such-program-anywhere" in by_name["missing-v1"].fix
    assert "nonsense" in by_name["runner folder"].detail
    assert all(check.fix for check in found if check.ok is False)


def test_a_folder_that_can_not_be_written_is_a_finding(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    found = diagnose(Settings(data=occupied / "data"))
    folder = next(check for check in found if check.name == "data folder")
    assert folder.ok is False
    assert "--data" in folder.fix
