from __future__ import annotations

import fcntl
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from bearerwatch import doctor
from bearerwatch.doctor import Site, examine
from bearerwatch.doctor.checks import disk, installation, libraries
from bearerwatch.event import Outcome
from bearerwatch.store import outbox

Run = Callable[..., Any]


def ids(site: Site, name: str | None = None) -> dict[str, str]:
    """Short id to message and hint of what is found, by one check or all."""
    return {
        finding.id.removeprefix("bearerwatch."): f"{finding.message} {finding.hint}"
        for check in examine(site)
        if name in (None, check.name)
        for finding in check.findings
    }


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    def make(**changes: Any) -> Site:
        env = changes.pop("env", {"BEARERWATCH_KEYS": "k" * 32})
        return Site(**({"state": tmp_path / "state", "env": env} | changes))

    return make


def spool(site: Site, service: str = "shop") -> Path:
    folder = site.state / "spool" / service
    for path in (site.state, site.state / "spool", folder):
        path.mkdir(mode=0o700, exist_ok=True)
    return folder


def test_an_id_belongs_to_one_check() -> None:
    """W014 and E014, W018 and E018 are one matter at two weights."""
    where: dict[str, set[str]] = {}
    for path in sorted(Path(disk.__file__).parent.glob("[a-z]*.py")):
        for code in re.findall(r'finding\(\s*"([WE]\d{3})"', path.read_text()):
            where.setdefault(code, set()).add(path.stem)
    assert len(where) >= 25
    assert {number: found for number, found in where.items() if len(found) > 1} == {}


def test_a_sound_site_has_nothing_to_mend(site: Any, story: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = site(env={"BEARERWATCH_KEYS": "k" * 32, "BEARERWATCH_APPRISE_URLS": "json://127.0.0.1:9"})
    spool(sound)
    found = ids(sound)
    assert set(found) <= {"E020"}  # no collector runs in this test
    assert [check.name for check in examine(sound)] == [unit.NAME for unit in doctor.units()]


def test_settings_that_cannot_be_used(site: Any) -> None:
    found = ids(site(env={"BEARERWATCH_TRUSTED_PROXIES": "everyone"}), "settings")
    assert "everyone" in found["E001"]


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "10.0.0.0/8, ::/0"])
def test_trusting_everybody_as_a_proxy(site: Any, networks: str) -> None:
    found = ids(site(env={"BEARERWATCH_TRUSTED_PROXIES": networks}), "settings")
    assert "any caller can claim any address" in found["W004"]
    assert ids(site(env={"BEARERWATCH_TRUSTED_PROXIES": "10.0.0.0/8"}), "settings") == {}


def test_no_key_ring_and_asking_makes_none(site: Any) -> None:
    assert "bearerwatch key new" in ids(site(env={}), "key ring")["W001"]
    assert not site().state.exists()


def test_a_generated_key_and_who_may_read_it(site: Any) -> None:
    here = site(env={})
    spool(here)
    key = here.state / "fingerprint.key"
    key.write_text("g" * 32)
    key.chmod(0o644)
    found = ids(here, "key ring")
    assert "for this machine alone" in found["W001"]
    assert f"chmod 600 {key}" in found["W012"]
    key.chmod(0o600)
    assert set(ids(here, "key ring")) == {"W001"}


@pytest.mark.parametrize("env", [{"BEARERWATCH_KEYS": "short"}, {"BEARERWATCH_KEYS_FILE": "/does/not/exist"}])
def test_a_key_ring_that_cannot_be_used(site: Any, env: dict[str, str]) -> None:
    found = ids(site(env=env), "key ring")
    assert set(found) == {"E002"}
    assert "short" not in found["E002"].split()


def test_a_spool_nobody_has_written_to(site: Any) -> None:
    assert set(ids(site(), "spool")) == {"W013"}


def test_a_spool_that_is_no_folder_or_a_link(site: Any, tmp_path: Path) -> None:
    here = site()
    spool(here)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(here.state / "spool")
    found = ids(site(spools=[tmp_path / "file", tmp_path / "link"]), "spool")
    assert "is no folder" in found["E014"]
    assert "symbolic link" in found["W014"]
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert "a symbolic link to no folder" in ids(site(spools=[tmp_path / "dangling"]), "spool")["E014"]


def test_a_quota_nobody_can_read_is_told_once(site: Any) -> None:
    here = site(env={"BEARERWATCH_SPOOL_QUOTA": "plenty"})
    spool(here)
    assert "BEARERWATCH_SPOOL_QUOTA" in ids(here, "settings")["E001"]
    assert ids(here, "spool") == {}


def test_postgresql_without_its_driver(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    found = ids(site(database="postgresql://nobody@127.0.0.1:1/none"), "state database")
    assert list(found) == ["E090"]
    assert "a state database on PostgreSQL needs psycopg: pip install 'bearerwatch[postgres]'" in found["E090"]


def test_a_spool_others_may_write_to(site: Any) -> None:
    here = site()
    spool(here)
    (here.state / "spool").chmod(0o777)
    assert "forge events" in ids(here, "spool")["E016"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_spool_this_user_may_not_write_to(site: Any) -> None:
    here = site()
    spool(here)
    (here.state / "spool").chmod(0o500)
    assert "events are lost" in ids(here, "spool")["W005"]
    (here.state / "spool").chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_spool_of_another_user(site: Any) -> None:
    here = site()
    spool(here)
    os.chown(here.state / "spool", 12345, 12345)
    assert "12345" in ids(here, "spool")["W015"]


def test_a_spool_that_fills_up(site: Any) -> None:
    here = site(env={"BEARERWATCH_SPOOL_QUOTA": "65536"})
    (spool(here) / "a.jsonl").write_bytes(b"x" * 40_000)
    assert "see why it lags" in ids(here, "spool")["W017"]


def test_a_disk_that_fills_up(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes are made up: filling a disk takes too long here."""
    free = [10 << 20]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    assert "is full (10 MiB free)" in ids(site(), "disk")["E018"]
    free[0] = 500 << 20
    assert "500 MiB left" in ids(site(), "disk")["W018"]
    free[0] = 5 << 30
    assert ids(site(), "disk") == {}


def test_no_state_database(site: Any) -> None:
    assert "bearerwatch serve" in ids(site(), "state database")["E030"]


def test_a_state_database_that_cannot_be_used(site: Any) -> None:
    here = site()
    spool(here)
    (here.state / "state.db").write_bytes(b"no database at all, only some text that is long enough" * 10)
    assert "It is damaged" in ids(here, "state database")["E032"]
    gone = ids(site(database="postgresql://nobody@127.0.0.1:1/none"), "state database")
    assert "PostgreSQL" in gone["E031"]


def test_notices_that_were_given_up(site: Any, story: Any) -> None:
    with story.state.begin() as tx:
        outbox.dead(tx, f"{story.episode}:opened", "hook", story.now, "refused")
    assert "somebody was not told" in ids(site(), "state database")["W063"]


def test_places_files(site: Any, tmp_path: Path) -> None:
    path = tmp_path / "country.mmdb"
    writer = MMDBWriter(ip_version=4, database_type="test")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country_code": "NL"})
    writer.to_db_file(str(path))
    assert ids(site(mmdb=[path]), "places") == {}
    later = datetime.now(UTC) + timedelta(days=200)
    assert "200 days ago" in ids(site(mmdb=[path], now=later), "places")["W041"]
    assert "cannot be read" in ids(site(mmdb=[tmp_path / "none.mmdb"]), "places")["E040"]
    path.write_bytes(b"nothing of the kind")
    assert "not a MaxMind DB" in ids(site(mmdb=[path]), "places")["E040"]


def test_channels(site: Any, tmp_path: Path) -> None:
    assert "nobody is told" in ids(site(), "channels")["W061"]
    config = tmp_path / "bearerwatch.toml"
    config.write_text('[[channel]]\ntype = "pigeon"\n')
    assert "bearerwatch.toml: channel 1 (pigeon)" in ids(site(config=config), "channels")["E060"]


def test_rules_that_cannot_be_read(site: Any, tmp_path: Path) -> None:
    assert ids(site(), "rules") == {}
    (tmp_path / "broken.yml").write_text("title: [")
    assert "broken.yml:" in ids(site(rules=tmp_path), "rules")["E050"]
    assert "cannot be read" in ids(site(rules=tmp_path / "none"), "rules")["E051"]


def test_rejected_lines_and_why(site: Any) -> None:
    here = site()
    folder = spool(here).parent.parent / "quarantine"
    folder.mkdir()
    today = folder / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
    records = [{"reason": "status must be an HTTP status\x1b[2J", "code": "invalid"}] * 3 + [
        {"reason": "ts", "code": "future"}
    ]
    today.write_text("\n".join(map(json.dumps, records)) + '\n{"cut')
    found = ids(here, "quarantine")
    assert "a clock is wrong" in found["W070"]
    assert "3 x status must be an HTTP status\\x1b[2J" in found["W071"]


def test_a_service_that_fell_silent_and_a_clock_that_is_ahead(site: Any, story: Any) -> None:
    assert ids(site(now=story.now), "services") == {}
    story.add(*(story.event(timedelta(hours=2, seconds=n), Outcome.SUCCESS, service="old") for n in range(25)))
    ahead = json.loads(story.event(timedelta(seconds=30), Outcome.SUCCESS, service="fast"))
    ahead["received_at"] = (story.now - timedelta(seconds=45)).isoformat()
    story.add(json.dumps(ahead).encode())
    found = ids(site(now=story.now), "services")
    assert "Service old sent 25 events in a day and none for 2 h" in found["W080"]
    assert "service fast is up to 15 s ahead" in found["W072"]
    assert "W082" not in found


def test_a_service_whose_callers_have_no_address(site: Any, story: Any) -> None:
    times = (timedelta(seconds=n) for n in range(25))
    story.add(*(story.event(ago, Outcome.SUCCESS, service="socket", client_ip=None) for ago in times))
    found = ids(site(now=story.now), "services")
    assert "25 of 25 events of service socket name no address" in found["W082"]
    assert "add unix to BEARERWATCH_TRUSTED_PROXIES" in found["W082"]


def test_nothing_has_arrived(site: Any, story: Any) -> None:
    assert "W081" in ids(site(now=story.now + timedelta(days=2)), "services")


def test_missing_libraries(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: None if name in ("sigma", "yaml") else True)
    assert "PyYAML, pysigma" in ids(site(), "installation")["E010"]


def test_a_check_that_fails_is_itself_a_finding(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk, "look", broken)
    assert "Permission denied" in ids(site(), "disk")["E091"]


def test_the_command_says_it_all_and_exits_1_on_errors(run: Run, tmp_path: Path) -> None:
    ran = run("doctor", "--state", tmp_path / "none")
    assert ran.code == 1
    assert "✗ state database" in ran.out
    assert "E030 There is no collector state" in ran.out
    assert "→ Start the collector with 'bearerwatch serve'" in ran.out
    found = run("doctor", "--state", tmp_path / "none", "--json")
    assert (found.code, found.json["ok"]) == (1, False)
    assert "bearerwatch.E030" in [f["id"] for check in found.json["checks"] for f in check["findings"]]
    assert not (tmp_path / "none").exists()


@pytest.fixture
def collector(site: Any) -> Iterator[Callable[..., Site]]:
    """A collector as doctor sees one: its lock held, its status written."""
    here = site()
    spool(here)
    handle = os.open(here.state / "collector.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)

    def says(**status: Any) -> Site:
        sound = {"pid": 7, "at": here.now.isoformat(), "lag_seconds": 0.2, "events_per_second": 12.0}
        (here.state / "collector.json").write_text(json.dumps(sound | status))
        return here

    yield says
    os.close(handle)


def test_no_collector_runs(site: Any) -> None:
    here = site()
    assert "bearerwatch serve" in ids(here, "collector")["E020"]
    spool(here)
    (here.state / "collector.lock").touch()
    assert "E020" in ids(here, "collector")


def test_a_collector_that_is_well(collector: Any) -> None:
    here = collector()
    assert ids(here, "collector") == {}
    (check,) = (check for check in examine(here) if check.name == "collector")
    assert check.said == "process 7, 12 events/s, 200 ms behind"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ({"at": "2026-01-01T00:00:00Z"}, "W021", "it hangs"),
        ({"at": None}, "W021", "never said"),
        ({"blocked": "the disk is full: free some space"}, "E022", "the disk is full: free some space"),
        ({"lag_seconds": 95.0}, "W023", "2 min old"),
        ({"backlog_bytes": 100 << 20}, "W023", "100 MiB wait"),
        ({"degraded": ["token_sharing"]}, "W024", "token_sharing"),
        ({"lost_segments": 2}, "W025", "2 spool segments"),
    ],
)
def test_a_collector_that_is_not(collector: Any, status: dict[str, Any], code: str, says: str) -> None:
    found = ids(collector(**status), "collector")
    assert set(found) == {code}
    assert says in found[code]


def test_a_status_that_cannot_be_read(collector: Any) -> None:
    here = collector()
    (here.state / "collector.json").write_text("{cut")
    assert set(ids(here, "collector")) == {"W021"}


def test_a_version_of_a_library_that_was_not_tested_is_told(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"djangorestframework": "3.18.3", "djangorestframework-simplejwt": "99.1"}

    def version(name: str) -> str:
        if name not in versions:
            raise libraries.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(libraries.metadata, "version", version)
    assert ids(site(), "libraries") == {}  # of simplejwt nothing is replaced

    for strange in ("3.14.9", "3.19", "4.0.1"):
        versions["djangorestframework"] = strange
        told = ids(site(), "libraries")
        assert list(told) == ["W026"]
        assert f"djangorestframework {strange}" in told["W026"]
        assert "APIView.handle_exception" in told["W026"]
