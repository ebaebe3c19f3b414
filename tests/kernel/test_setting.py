"""Settings and the doctor."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from usina.doctor import diagnose, settings_in_force
from usina.settings import Settings


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
    with pytest.raises(ValidationError, match="slots"):
        Settings()


def test_secrets_are_masked_where_settings_are_shown() -> None:
    shown = dict(settings_in_force(Settings(first_superuser_api_key="very secret")))
    assert shown["FIRST_SUPERUSER_API_KEY"] == "********"
    assert "very secret" not in str(shown)


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
