"""A copy that is killed leaves no platform behind, and goes on when it is asked for again."""

import json
from pathlib import Path

import pytest

from tests.moving.conftest import Servers
from tests.moving.look import change, content, objects, objects_in, rows
from usina.kernel.failpoints import NAMES

pytestmark = pytest.mark.timeout(300)

_PLACES = sorted(name for name in NAMES if name.startswith("copy."))
_KILLED = -9


@pytest.mark.parametrize("place", _PLACES)
def test_a_kill_at_this_line_loses_nothing(place: str, source: Path, servers: Servers) -> None:
    copy = ("db", "copy", "--from", str(source), "--json")
    visit = ":2" if place == "copy.after_object" else ""

    assert servers.usina(*copy, USINA_FAILPOINTS=place + visit).returncode == _KILLED
    seeded = servers.usina("seed")
    again = servers.usina(*copy)

    if place == "copy.after_commit":
        assert seeded.returncode == 0, seeded.stderr
        assert "copy_target_not_empty" in again.stderr
    else:
        assert seeded.returncode == 1
        assert "usina db copy" in seeded.stderr
        assert again.returncode == 0, again.stderr
        report = json.loads(again.stdout)
        assert report["resumed"] is True
        there = report["objects"]
        assert there["copied"] + there["present"] == len(objects_in(source))
        assert there["present"] >= (2 if place == "copy.after_object" else 0)
    assert servers.usina("seed").returncode == 0
    assert objects(servers.store()) == objects_in(source)
    assert _numbers(servers.database) == _numbers(source / "usina.sqlite")


def test_what_changed_in_the_source_meanwhile_is_seen(source: Path, servers: Servers) -> None:
    copy = ("db", "copy", "--from", str(source))
    assert servers.usina(*copy, USINA_FAILPOINTS="copy.after_rows").returncode == _KILLED
    change(source / "usina.sqlite", "UPDATE jobs SET priority = 7")

    assert servers.usina(*copy).returncode == 0

    assert rows(servers.database, "SELECT DISTINCT priority FROM jobs") == [(7,)]


def test_half_an_object_is_written_anew(source: Path, servers: Servers) -> None:
    copy = ("db", "copy", "--from", str(source), "--json")
    assert servers.usina(*copy, USINA_FAILPOINTS="copy.in_transaction").returncode == _KILLED
    wanted = objects_in(source)
    shorter, other = sorted(wanted)[:2]
    store = servers.store()
    store.put(shorter, wanted[shorter][:-1])
    store.put(other, bytes(len(wanted[other])))
    store.close()

    report = json.loads(servers.usina(*copy).stdout)

    assert report["objects"]["copied"] == 2
    assert objects(servers.store()) == wanted


def _numbers(address: Path | str) -> dict[str, int]:
    """The rows of each table; an event tells of the job that starts again."""
    found = {name: len(rows) for name, rows in content(address).items()}
    return found | {"events": found["events"] - isinstance(address, str)}
