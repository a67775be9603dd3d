"""Rejected lines are kept with their reason, without a token, and within bounds."""

from __future__ import annotations

import base64
import errno
import json
import os
import secrets
import stat
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bearerwatch.ingest.decode import Rejection
from bearerwatch.ingest.lines import HEAD, RawLine
from bearerwatch.ingest.quarantine import Quarantine, safe_excerpt


def rejection(line: bytes = b"garbage", end: int = 100, source: str = "spool:shop") -> Rejection:
    return Rejection(RawLine(source, "a.jsonl", end, line), "not_json", "the line is not one JSON object")


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for path in sorted(folder.glob("*.jsonl")) for text in path.read_text().splitlines()]


class TestKeeping:
    def test_what_is_kept(self, tmp_path: Path, now: datetime) -> None:
        folder = tmp_path / "quarantine"
        Quarantine(folder).add([rejection()], now)

        assert records(folder) == [
            {
                "at": "2026-11-21T10:11:12.123456Z",
                "source": "spool:shop",
                "segment": "a.jsonl",
                "offset": 92,
                "reason": "the line is not one JSON object",
                "code": "not_json",
                "line": "garbage",
            }
        ]
        path = folder / "2026-11-21.jsonl"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_the_same_line_after_a_crash(self, tmp_path: Path, now: datetime) -> None:
        """Written, not committed, read again: it is in the file once."""
        Quarantine(tmp_path).add([rejection(end=100), rejection(end=200)], now)
        Quarantine(tmp_path).add([rejection(end=200), rejection(end=300)], now)
        assert [record["offset"] for record in records(tmp_path)] == [92, 192, 292]

    def test_a_torn_last_record(self, tmp_path: Path, now: datetime) -> None:
        path = tmp_path / "2026-11-21.jsonl"
        path.write_bytes(b'{"at":"2026')
        Quarantine(tmp_path).add([rejection()], now)
        assert path.read_bytes().split(b"\n")[0] == b'{"at":"2026'
        assert json.loads(path.read_bytes().split(b"\n")[1])["line"] == "garbage"

    def test_a_flood_is_bounded(self, tmp_path: Path, now: datetime, said: Any) -> None:
        quarantine = Quarantine(tmp_path, per_day=10_000, days=3, complain=said)
        for day in range(10):
            for number in range(50):
                quarantine.add([rejection(b"ab " * 1_000, end=number + 10_000)], now + timedelta(days=day))

        assert quarantine.suppressed > 300
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * (10_000 + 3_000)
        assert len(list(tmp_path.iterdir())) == 3
        assert "only counted" in said.text

    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path, now: datetime, said: Any) -> None:
        target = tmp_path / "target"
        target.write_bytes(b"")
        folder = tmp_path / "quarantine"
        folder.mkdir()
        (folder / "2026-11-21.jsonl").symlink_to(target)
        quarantine = Quarantine(folder, complain=said)
        quarantine.add([rejection()], now)

        assert target.read_bytes() == b""
        assert quarantine.suppressed == 1
        assert "cannot be kept" in said.text

    def test_a_full_disk_is_passed_on(self, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        """Were it swallowed, offsets would be committed past lines that are nowhere."""
        quarantine = Quarantine(tmp_path)
        quarantine.add([rejection()], now)
        before = records(tmp_path)

        def full(_handle: int, _data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("bearerwatch.ingest.quarantine.os.write", full)
            with pytest.raises(OSError, match="No space"):
                quarantine.add([rejection(end=300)], now)
        assert records(tmp_path) == before
        quarantine.add([rejection(end=300)], now)
        assert len(records(tmp_path)) == 2

    def test_a_short_write_is_taken_back(self, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        quarantine = Quarantine(tmp_path)
        quarantine.add([rejection()], now)
        real = os.write
        left = [20]

        def almost_full(handle: int, data: bytes) -> int:
            if not left[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = real(handle, data[: left[0]])
            left[0] -= done
            return done

        with monkeypatch.context() as patch:
            patch.setattr("bearerwatch.ingest.quarantine.os.write", almost_full)
            with pytest.raises(OSError, match="No space"):
                quarantine.add([rejection(end=300)], now)
        assert len(records(tmp_path)) == 1


WINDOW = 12


def leaks(token: str, text: str) -> bool:
    """Whether any 12 characters of *token* stand in *text*, in clear, percent-encoded, JSON-escaped or base64."""
    forms = [token, quote(token, safe=""), "".join(f"%{ord(c):02X}" for c in token), json.dumps(token)]
    forms.append("".join(f"\\u{ord(c):04x}" for c in token))
    for shift in range(3):
        forms.append(base64.b64encode(b"\0" * shift + token.encode()).decode()[4:-4])
        forms.append(base64.urlsafe_b64encode(b"\0" * shift + token.encode()).decode()[4:-4])
    return any(form[i : i + WINDOW] in text for form in forms for i in range(len(form) - WINDOW + 1))


class TestExcerpts:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda t: t,
            lambda t: f'{{"token_id":"{t}"',
            lambda t: f"GET /x?access_token={t} HTTP/1.1",
            lambda t: f"Authorization: Bearer {t}",
            lambda t: f"({t})<{t}>[{t}],{t};{t}",
            lambda t: "".join(f"%{ord(c):02X}" for c in t),
            lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
            lambda t: base64.b64encode(f"user:{t}".encode()).decode(),
            lambda t: f"\x00{t}\x00",
            lambda t: "x" * (HEAD - 10) + t,
            lambda t: "a b " * ((HEAD - 20) // 4) + t,
            lambda t: " ".join(t for _ in range(400)),
        ],
    )
    @pytest.mark.parametrize(
        "make",
        [
            lambda: secrets.token_hex(20),
            lambda: secrets.token_urlsafe(32),
            lambda: secrets.token_hex(6),
            lambda: str(uuid.uuid4()),
            lambda: str(secrets.randbelow(9 * 10**18) + 10**18),
            lambda: str(secrets.randbelow(9 * 10**11) + 10**11),
        ],
        ids=["hex", "opaque", "short", "uuid", "number", "short number"],
    )
    def test_no_token_whatever_its_form(self, wrap: Callable[[str], str], make: Callable[[], str]) -> None:
        """Opaque tokens have no form to tell them by: every long word that is not ours goes."""
        token = make()
        assert not leaks(token, safe_excerpt(wrap(token).encode()))

    def test_jwt(self, jwt: str) -> None:
        assert not leaks(jwt[45:], safe_excerpt(f'{{"kind":"auth","path":"/{jwt}"}}'.encode()))

    def test_broken_text_is_shown_escaped(self) -> None:
        assert safe_excerpt(b"ok \xff\xfe \x1b[31m end") == "ok \\xff\\xfe \\x1b[31m end"

    def test_the_shape_of_an_event_stays_readable(self, line: Callable[..., bytes]) -> None:
        """Its reader wants to see which field is wrong."""
        fingerprint = f"k{secrets.token_hex(4)}:{secrets.token_hex(16)}"
        excerpt = safe_excerpt(line(status="401", token_id=fingerprint, request_id="r" * 20))

        for part in ('"schema_version":1', '"outcome":"invalid"', '"reason":"bad_signature"', fingerprint):
            assert part in excerpt
        assert "r" * 12 not in excerpt
        assert "[20 characters]" in excerpt

    @pytest.mark.parametrize("between", ['":"', '": "', '" :  "'])
    def test_only_an_event_id_is_shown_as_it_is(self, between: str) -> None:
        """A UUID anywhere else may be a session or a token."""
        event_id, token = str(uuid.uuid4()), str(uuid.uuid4())
        excerpt = safe_excerpt(f'{{"event_id{between}{event_id}", "presented_id{between}{token}"}}'.encode())
        assert event_id in excerpt
        assert not leaks(token, excerpt)

    def test_length(self) -> None:
        assert len(safe_excerpt(b"ab " * 100_000)) <= 2_048
        assert len(safe_excerpt(b"\xff" * 100_000)) <= 2_048
