from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.cli._options import (
    caller,
    config_file,
    database_url,
    duration,
    mmdb_files,
    moment,
    rules_folder,
    state_folder,
)
from bearerwatch.errors import ConfigurationError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        (" 1 H 30 M ", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
    ],
)
def test_lengths_of_time(text: str, length: timedelta) -> None:
    assert duration(text, "--x") == length


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "5 minutes", "5y", "1h 30", "999999999w", "1e3s", "٣m"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--x is "):
        duration(text, "--x")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("15m", NOW - timedelta(minutes=15)),
        ("2026-01-31T11:00:00Z", NOW - timedelta(hours=1)),
        ("2026-01-31T12:00:00+01:00", NOW - timedelta(hours=1)),
        ("2026-01-31 11:00", NOW - timedelta(hours=1)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_moments(text: str, instant: datetime) -> None:
    assert moment(text, "--since", NOW) == instant


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "15", "900000000h", "2026-01-31T25:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--since "):
        moment(text, "--since", NOW)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (None, None),
        (" 203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_an_address_is_looked_for_as_events_have_it(text: str | None, address: str | None) -> None:
    assert caller(text) == address


@pytest.mark.parametrize("text", ["", "nonsense", "203.0.113", "203.0.113.0/24", "203.0.113.7:80", "localhost"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--ip is one IP address"):
        caller(text)


@given(st.text(max_size=30))
def test_any_text_gives_a_moment_or_a_clear_refusal(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert moment(text, "--since", NOW).tzinfo is not None


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:{}@host/db", "postgresql+psycopg://me:{}@host/db", "postgresql://host/db?user=me&password={}"],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(url: str) -> None:
    word = "correcthorse"
    with pytest.raises(ConfigurationError, match="BEARERWATCH_DATABASE_URL") as caught:
        database_url(url.replace("{}", word))
    assert word not in str(caught.value)


def test_the_database_comes_from_the_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database_url(None) is None
    assert database_url("postgresql://me@host/db") == "postgresql://me@host/db"
    with_password = "postgresql://me:" + "pw" + "@host/db"
    monkeypatch.setenv("BEARERWATCH_DATABASE_URL", with_password)
    assert database_url(None) == with_password
    with pytest.raises(ConfigurationError, match="is no URL"):
        database_url("postgresql://[::1/db")


def test_folders_and_files_come_from_the_option_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert state_folder(Path("x")) == Path("x")
    assert state_folder(None) == tmp_path / "state"
    assert (mmdb_files(None), rules_folder(None), config_file(None)) == ([], None, None)
    monkeypatch.setenv("BEARERWATCH_MMDB", "/a.mmdb:/b.mmdb")
    monkeypatch.setenv("BEARERWATCH_RULES", "/rules")
    monkeypatch.setenv("BEARERWATCH_CONFIG", "/c.toml")
    assert mmdb_files(None) == [Path("/a.mmdb"), Path("/b.mmdb")]
    assert mmdb_files([Path("/c.mmdb")]) == [Path("/c.mmdb")]
    assert rules_folder(None) == Path("/rules")
    assert config_file(None) == Path("/c.toml")
    assert config_file(Path("d.toml")) == Path("d.toml")
