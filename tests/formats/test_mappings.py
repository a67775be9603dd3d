"""Each field of an event stands where its format's table says, and a record holds no other's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from bearerwatch import _units
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent
from bearerwatch.formats import encoder
from bearerwatch.formats.ecs import MAPPING as ECS
from bearerwatch.formats.ndjson import MAPPING as NDJSON
from bearerwatch.formats.ocsf import MAPPING as OCSF
from bearerwatch.formats.otlp import MAPPING as OTLP
from bearerwatch.formats.syslog import MAPPING as SYSLOG
from events_made import EVENTS, FULL, full

NESTED = {"ocsf": OCSF, "ecs": ECS, "ndjson": NDJSON}
TABLES = {**NESTED, "otlp": OTLP, "syslog": SYSLOG}
ALWAYS = {"kind", "event_id", "ts"}
MOMENT = FULL["ts"]
WRITTEN: dict[tuple[str, str], Any] = {
    ("ocsf", "kind"): 3002,
    ("ocsf", "ts"): int(MOMENT.timestamp() * 1000),
    ("ocsf", "expires_at"): FULL["expires_at"] * 1000,
    ("ecs", "kind"): "bearerwatch.auth",
    ("ecs", "duration_us"): FULL["duration_us"] * 1000,
    ("ecs", "ts"): "2026-01-02T03:04:05.678901Z",
    ("ndjson", "ts"): "2026-01-02T03:04:05.678901Z",
}


def at(record: Any, path: str) -> Any:
    for part in path.split("."):
        record = record.get(part) if isinstance(record, dict) else None
    return record


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_of_every_field_where_it_stands(name: str) -> None:
    assert set(TABLES[name]) == set(AuthEvent.__struct_fields__)


def test_every_format_has_a_table() -> None:
    assert set(TABLES) == set(_units.names("bearerwatch.formats"))


@pytest.mark.parametrize("name", NESTED)
def test_each_field_stands_there(name: str) -> None:
    record = json.loads(encoder(name)(full()))
    for field, places in NESTED[name].items():
        told = [at(record, place) for place in places.split(" or ")]
        assert WRITTEN.get((name, field), FULL[field]) in told, field


@pytest.mark.parametrize("name", NESTED)
def test_alone_a_field_is_kept_and_absent_it_leaves_nothing_behind(name: str) -> None:
    bare = AuthEvent(**{field: FULL[field] for field in ALWAYS})
    for field in set(FULL) - ALWAYS:
        value = WRITTEN.get((name, field), FULL[field])
        alone = encoder(name)(msgspec.structs.replace(bare, **{field: FULL[field]})).decode()
        assert json.dumps(value).strip('"') in alone, field
        assert "null" not in alone, field
        assert "{}" not in alone, field
        without = json.loads(encoder(name)(full(**{field: getattr(bare, field)})))
        assert all(at(without, place) != value for place in NESTED[name][field].split(" or ")), field


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=30)
@given(event=EVENTS)
def test_a_record_is_one_line_of_utf8_whatever_a_client_sent(name: str, event: AuthEvent) -> None:
    record = encoder(name)(event)
    text = record.decode("utf-8")
    assert not re.search("[\x00-\x1f]", text)
    if name != "syslog":
        assert isinstance(json.loads(text, parse_constant=pytest.fail), dict)


def test_an_unknown_format_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'cef'; there are: ecs, ndjson, ocsf, otlp, syslog"):
        encoder("cef")


@pytest.mark.parametrize("name", TABLES)
def test_another_zone_is_told_in_utc(name: str) -> None:
    elsewhere = MOMENT.astimezone(datetime.now(UTC).astimezone().tzinfo)
    assert encoder(name)(full(ts=elsewhere)).replace(b"+00:00", b"Z") == encoder(name)(full())
