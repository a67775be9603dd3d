"""``events export``: every event once, where it was told to, in every format."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

import fakes
from bearerwatch import _units
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.formats import encoder
from otlp_read import attributes, from_json
from receivers import Answer, HttpReceiver, http_receiver, stream_receiver
from syslog_read import frames, parse

Run = Callable[..., Any]
FORMATS = _units.names("bearerwatch.formats")
ALL = ("events", "export", "--since", "1d")


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as opened:
        yield opened


def taken(receiver: HttpReceiver) -> list[str]:
    """The ids of the events that arrived as OTLP."""
    records = [
        record
        for asked in receiver.asked
        for resource in from_json(asked.body).resource_logs
        for record in resource.scope_logs[0].log_records
    ]
    return [attributes(record)["log.record.uid"] for record in records]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_a_record_a_line(run: Run, story: Any, form: str) -> None:
    ran = run(*ALL, "--format", form)
    events = [msgspec.json.decode(line, type=AuthEvent) for line in run(*ALL).out.splitlines()]
    assert (ran.code, ran.err) == (0, "")
    assert [event.outcome for event in events] == ["success"] * 2 + ["invalid"] * 3 + ["success"]
    assert ran.out.splitlines() == [encoder(form)(event).decode() for event in events]
    assert fakes.leaked(story.token, ran.out) == []


def test_a_file_is_private_compressed_and_whole(run: Run, story: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.ocsf.gz"
    ran = run(*ALL, "--format", "ocsf", "--out", path)
    assert (ran.code, ran.out, ran.err) == (0, "", "6 events exported as ocsf\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"\x1f\x8b")


def test_parquet_is_told_by_its_name(run: Run, story: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    ran = run(*ALL, "--out", path, "--outcome", "invalid")
    assert (ran.code, ran.err) == (0, "3 events exported as parquet\n")
    found = duckdb.sql(f"SELECT outcome, service, reason FROM '{path}'").fetchall()
    assert found == [("invalid", "billing", "unknown_token")] * 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".events*")) == []


@pytest.mark.parametrize(
    ("filters", "count"),
    [(["--outcome", "invalid"], 3), (["--ip", "192.0.2.9"], 1), (["--service", "billing"], 3), (["--until", "2h"], 2)],
)
def test_filters(run: Run, story: Any, filters: list[str], count: int) -> None:
    assert len(run(*ALL, *filters).rows) == count


def test_by_token(run: Run, story: Any) -> None:
    assert len(run(*ALL, "--token", story.token_id[:18]).rows) == 3
    assert len(run(*ALL, "--token", "-", stdin=story.token).rows) == 3
    none = run(*ALL, "--token", "k00000000:ffffffff")
    assert (none.code, none.out, none.err) == (0, "", "no event fits\n")


def test_otlp_arrives_at_a_real_endpoint(run: Run, story: Any, receiver: HttpReceiver) -> None:
    ran = run(*ALL, "--to", f"{receiver.url}/v1/logs")
    assert (ran.code, ran.out, ran.err) == (0, "", "6 events exported as otlp\n")
    assert sorted(taken(receiver)) == sorted(row["event_id"] for row in run(*ALL).rows)


def test_ocsf_arrives_as_ndjson_with_headers_from_a_file(
    run: Run, story: Any, receiver: HttpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = fakes.opaque()
    (tmp_path / "headers").write_text(f"Authorization: Splunk {secret}\n")
    ran = run(*ALL, "--format", "ocsf", "--to", receiver.url, "--headers-file", tmp_path / "headers")
    assert ran.code == 0
    (asked,) = receiver.asked
    assert asked.headers["authorization"] == f"Splunk {secret}"
    assert asked.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["class_uid"] for line in asked.body.splitlines()] == [3002] * 6
    assert fakes.leaked(secret, ran.out, ran.err) == []
    monkeypatch.setenv("BEARERWATCH_EXPORT_HEADERS", "X-Key: 7")
    run(*ALL, "--format", "ecs", "--to", receiver.url)
    assert receiver.asked[1].headers["x-key"] == "7"


def test_syslog_arrives_over_tcp(run: Run, story: Any) -> None:
    with stream_receiver() as receiver:
        ran = run(*ALL, "--to", f"syslog+tcp://127.0.0.1:{receiver.port}?facility=local0")
        (read,) = receiver.wait(1)
    assert ran.code == 0
    messages = [parse(message) for message in frames(read)]
    assert [message.msgid for message in messages] == ["success"] * 2 + ["invalid"] * 3 + ["success"]
    assert {message.facility for message in messages} == {16}


def test_a_job_exports_each_event_once(run: Run, story: Any, receiver: HttpReceiver, tmp_path: Path) -> None:
    job = ("events", "export", "--to", f"{receiver.url}/v1/logs", "--checkpoint", tmp_path / "mark")
    assert run(*job).err == "6 events exported as otlp\n"
    assert run(*job).err == "no new event\n"
    late = msgspec.json.decode(story.event(timedelta(hours=5), Outcome.EXPIRED))  # happened long before, arrives now
    story.add(msgspec.json.encode(late | {"received_at": story.now}))
    assert run(*job).err == "1 events exported as otlp\n"
    assert sorted(taken(receiver)) == sorted(row["event_id"] for row in run(*ALL).rows)


def test_a_run_that_failed_is_made_up_for(run: Run, story: Any, receiver: HttpReceiver, tmp_path: Path) -> None:
    job = ("events", "export", "--to", f"{receiver.url}/v1/logs", "--checkpoint", tmp_path / "mark")
    receiver.answers = [Answer(401)]
    ran = run(*job)
    assert (ran.code, "401" in ran.err) == (1, True)
    receiver.asked.clear()
    assert run(*job).code == 0
    assert len(taken(receiver)) == 6


def test_what_the_receiver_drops_is_an_exit_code(run: Run, story: Any, receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(200, {}, b'{"partialSuccess":{"rejectedLogRecords":"2"}}')]
    ran = run(*ALL, "--to", f"{receiver.url}/v1/logs")
    assert ran.code == 1
    assert ran.err.splitlines()[-2:] == ["4 events exported as otlp", "2 events were refused by the receiver, for good"]


def test_files_with_a_checkpoint_are_never_replaced(run: Run, story: Any, tmp_path: Path) -> None:
    mark = ("--checkpoint", tmp_path / "mark")
    assert run("events", "export", *mark, "--out", tmp_path / "one").code == 0
    story.add(story.event(timedelta(seconds=3), Outcome.EXPIRED))
    again = run("events", "export", *mark, "--out", tmp_path / "one")
    assert (again.code, "name a new file each time" in again.err) == (2, True)
    assert run("events", "export", *mark, "--out", tmp_path / "two").code == 0
    assert [len((tmp_path / name).read_bytes().splitlines()) for name in ("one", "two")] == [6, 1]
    assert run("events", "export", *mark, "--out", tmp_path / "three").err == "no new event\n"
    assert not (tmp_path / "three").exists()


def test_parquet_with_a_checkpoint(run: Run, story: Any, tmp_path: Path) -> None:
    mark = ("--checkpoint", tmp_path / "mark")
    assert run("events", "export", *mark, "--out", tmp_path / "one.parquet").code == 0
    story.add(story.event(timedelta(seconds=3), Outcome.EXPIRED))
    assert run("events", "export", *mark, "--out", tmp_path / "two.parquet").code == 0
    counts = [duckdb.sql(f"SELECT count(*) FROM '{tmp_path / name}.parquet'").fetchall() for name in ("one", "two")]
    assert counts == [[(6,)], [(1,)]]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--format", "cef"], "--format is one of ecs, ndjson, ocsf, otlp, syslog, parquet"),
        (["--format", "parquet"], "name a file"),
        (["--out", "x.parquet", "--to", "https://a/v1/logs"], "give one of them"),
        (["--to", "https://a/b"], "--format is needed"),
        (["--to", "ftp://a/v1/logs", "--format", "ocsf"], "--to is a URL"),
        (["--to", "syslog+tcp://a", "--format", "ocsf"], "syslog goes to"),
        (["--to", "https://a", "--format", "syslog"], "syslog goes to"),
        (["--to", "syslog+tcp://"], "--to: name a host"),
        (["--outcome", "invlid"], "--outcome is one of"),
        (["--until", "2d"], "--until lies before --since"),
        (["--retry-for", "ever"], "--retry-for is a length of time"),
        (["--headers-file", "/none", "--to", "https://a/v1/logs"], "--headers-file /none cannot be read"),
    ],
)
def test_wrong_usage_is_explained(run: Run, story: Any, argv: list[str], says: str) -> None:
    ran = run(*ALL, *argv)
    assert ran.code == 2
    assert says in ran.err
    assert ran.out == ""


def test_options_before_the_word_export_are_not_dropped_silently(run: Run, story: Any) -> None:
    ran = run("events", "--since", "1d", "export")
    assert (ran.code, "behind the word export" in ran.err) == (2, True)
