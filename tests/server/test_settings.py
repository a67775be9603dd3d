"""Wrong settings are refused by a message that names the flag."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.server import CollectorSettings, parse_duration


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "length"),
        [
            ("30d", timedelta(days=30)),
            ("12h", timedelta(hours=12)),
            ("1h30m", timedelta(minutes=90)),
            (" 1W ", timedelta(weeks=1)),
            ("250ms", timedelta(milliseconds=250)),
            ("1.5h", timedelta(minutes=90)),
        ],
    )
    def test_read(self, text: str, length: timedelta) -> None:
        assert parse_duration(text) == length

    @pytest.mark.parametrize(
        "text", ["", "30", "d", "-1d", "0s", "1y", "1d2", "x1d", "1e5d", "\u0661d", "999999999w", "1d\x00"]
    )
    def test_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="--retain is"):
            parse_duration(text, "--retain")


class TestSettings:
    def test_defaults(self, tmp_path: Path) -> None:
        settings = CollectorSettings(state_dir=tmp_path)
        assert settings.spools == (tmp_path / "spool",)
        assert (settings.host, settings.port, settings.retain) == ("127.0.0.1", 0, timedelta(days=30))

    def test_the_spool_applications_are_told_of(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BEARERWATCH_SPOOL", str(tmp_path / "elsewhere"))
        assert CollectorSettings(state_dir=tmp_path).spools == (tmp_path / "elsewhere",)

    @pytest.mark.parametrize(
        ("wrong", "word"),
        [
            ({"port": 70_000}, "--listen"),
            ({"port": 8_000, "host": "0.0.0.0"}, "BEARERWATCH_INGEST_KEYS"),
            ({"port": 8_000, "host": "::"}, "--listen ::"),
            ({"port": 8_000, "host": "example.org"}, "--listen example.org"),
            ({"retain": timedelta(minutes=5)}, "--retain"),
            ({"retain": timedelta(0)}, "--retain"),
            ({"mmdb": (Path("/no/file.mmdb"),)}, "--mmdb /no/file.mmdb"),
            ({"rules": Path("/no/folder")}, "--rules /no/folder"),
            ({"config": Path("/no/file.toml")}, "--config /no/file.toml"),
            ({"spools": (Path("a"), Path("a"))}, "--spool a is named twice"),
            ({"spools": (Path("/dev/null"),)}, "--spool /dev/null is not a folder"),
            ({"tick": 0.0}, "--tick"),
            ({"tick": float("nan")}, "--tick"),
            ({"max_pending": 0}, "max_pending"),
        ],
    )
    def test_refused(self, tmp_path: Path, wrong: dict[str, Any], word: str) -> None:
        with pytest.raises(ConfigurationError, match=word):
            CollectorSettings(state_dir=tmp_path, **wrong)

    def test_a_spool_that_is_the_state_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="--spool .* state folder itself"):
            CollectorSettings(state_dir=tmp_path, spools=(tmp_path,))

    def test_a_state_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="--state .*file is not a folder"):
            CollectorSettings(state_dir=tmp_path / "file")

    def test_beyond_loopback_with_keys(self, tmp_path: Path) -> None:
        keys = IngestKeys({"edge": secrets.token_urlsafe(20)})
        assert CollectorSettings(state_dir=tmp_path, host="0.0.0.0", port=8_000, ingest_keys=keys).port == 8_000

    def test_secrets_are_not_shown(self, tmp_path: Path) -> None:
        secret = secrets.token_urlsafe(20)
        settings = CollectorSettings(state_dir=tmp_path, ingest_keys=IngestKeys({"edge": secret}))
        assert secret not in repr(settings)
