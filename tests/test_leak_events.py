"""A token that was about to be logged is an event of its own: where every other event goes, and in nobody's way."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch import install_logging
from bearerwatch.errors import BearerwatchError
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import ring
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.lines import RawLine
from bearerwatch.observe import Facts, Watch
from bearerwatch.redact import culprits
from bearerwatch.server import Collector, CollectorSettings
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks
from bearerwatch.sinks._overflow import Overflow
from bearerwatch.store import episodes
from bearerwatch.store.reader import Reader
from fakes import jwt, leaked

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


class Kept:
    def __init__(self) -> None:
        self.events: list[AuthEvent] = []

    def send(self, event: AuthEvent) -> None:
        self.events.append(event)


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The logger of a shop, which logs into the void."""
    made = logging.Logger("shop.views")  # noqa: LOG001 - not one that somebody else's configuration disables
    made.addHandler(logging.StreamHandler(io.StringIO()))
    install_logging()
    yield made
    made.handlers[0].close()


def facts(token: str) -> Facts:
    return Facts(
        method="GET",
        path="/orders",
        query="",
        peer_ip="203.0.113.7",
        authorization=f"Bearer {token}",
        traceparent=f"00-{TRACE}-{SPAN}-01",
    )


def test_the_event_says_who_where_and_which_token_within_which_request(log: logging.Logger) -> None:
    kept, token = Kept(), jwt()
    watch = Watch(Settings.from_env(service="shop", trusted_proxies="203.0.113.7"), [kept])
    exchange = watch.open(facts(token))
    log.info("got %s", token)
    exchange.finish(200)
    exchange.end()
    leak, auth = kept.events
    assert (leak.kind, auth.kind) == (Kind.LEAK, Kind.AUTH)
    assert (leak.service, leak.instance) == ("shop", watch.instance)
    assert re.fullmatch(rf"{re.escape(__file__)}:\d+ shop\.views", leak.detail or "")
    assert (leak.reason, leak.token_id, leak.token_source) == ("jwt", ring().token_id(token), "log")
    assert (leak.request_id, leak.trace_id, leak.parent_request_id) == (auth.request_id, TRACE, SPAN)
    assert leak.token_id == auth.token_id
    assert (leak.outcome, leak.count, leak.verified) == (None, 1, False)
    assert abs(leak.ts - datetime.now(UTC)) < timedelta(seconds=20)
    assert not leaked(token, repr(kept.events))


def test_outside_of_a_request_it_names_none_and_counts_what_follows(log: logging.Logger) -> None:
    kept = Kept()
    Watch(Settings(service="shop"), [kept])
    for _ in range(5):
        log.info("got %s", jwt())
    culprits.flush()
    assert [(event.count, event.request_id, event.trace_id) for event in kept.events] == [
        (1, None, None),
        (4, None, None),
    ]
    assert kept.events[1].token_id is None


def test_a_file_or_a_logger_named_by_a_token_is_redacted(log: logging.Logger) -> None:
    kept, token = Kept(), jwt()
    Watch(Settings(service="shop"), [kept])
    log.handle(
        logging.makeLogRecord({"name": f"x.{token}", "pathname": f"/srv/{token}.py", "msg": token, "levelno": 30})
    )
    Watch(Settings(service="shop"), [kept]).leaked(culprits.Leak(f"x{token}", f"{token}/{'x' * 450}.py", 1, 1))
    assert len(kept.events) == 2
    assert not leaked(token, repr(kept.events))


def test_clean_records_and_their_requests_make_no_such_event(log: logging.Logger) -> None:
    kept = Kept()
    exchange = Watch(Settings(service="shop"), [kept]).open(facts(jwt()))
    log.info("order 7 was placed")
    exchange.finish(200)
    exchange.end()
    assert [event.kind for event in kept.events] == [Kind.AUTH]


def test_through_the_log_sink_it_is_a_warning_that_names_the_line_and_ends_there(
    log: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bearerwatch.security"), "disabled", False)
    settings, token = Settings(service="shop", sinks=("log",)), jwt()
    Watch(settings, open_sinks(settings))
    log.info("got %s", token)
    (record,) = [record for record in caplog.records if record.name == "bearerwatch.security"]
    assert record.levelno == logging.WARNING
    assert re.match(
        r"leak reason=jwt token_id=\S+ service=shop detail=\S+test_leak_events\.py:\d+ shop\.views$",
        record.getMessage(),
    )


def test_a_sink_that_logs_a_token_makes_no_loop(log: logging.Logger) -> None:
    class Talkative(Kept):
        def send(self, event: AuthEvent) -> None:
            super().send(event)
            log.warning("sending %s", jwt())

    kept = Talkative()
    Watch(Settings(service="shop"), [kept])
    log.info("got %s", jwt())
    assert len(kept.events) == 1


def test_a_sink_that_fails_fails_no_log_call(log: logging.Logger, swallowing: None) -> None:
    class Broken:
        def send(self, event: AuthEvent) -> None:
            raise OSError("no room")

    kept = Kept()
    Watch(Settings(service="shop"), [Broken(), kept])
    log.info("got %s", jwt())
    assert len(kept.events) == 1


APP = """
import logging, sys
from bearerwatch.integrations._start import start
logging.basicConfig(filename="/dev/null")
start("shop")
for _ in range(9):
    logging.getLogger("shop").warning("Authorization: Bearer %s", sys.argv[1])
"""


def test_a_process_that_ends_has_written_how_often(spool_lines: Callable[..., list[bytes]]) -> None:
    subprocess.run([sys.executable, "-c", APP, jwt()], check=True, capture_output=True)
    events = [json.loads(line) for line in spool_lines()]
    assert [(event["kind"], event.get("count", 1)) for event in events] == [("leak", 1), ("leak", 8)]


# -- the collector -----------------------------------------------------------------------------------------------------


def test_the_collector_takes_it_as_it_is(log: logging.Logger, spool_lines: Callable[..., list[bytes]]) -> None:
    settings = Settings.from_env(service="shop")
    (sink,) = open_sinks(settings)
    Watch(settings, [sink])
    log.info("got %s", jwt())
    (line,) = spool_lines()
    decoded = Decoder()([RawLine("spool:shop", "1.jsonl", len(line) + 1, line)], datetime.now(UTC))
    assert (len(decoded.lines), decoded.rejected) == (1, [])
    kept = json.loads(decoded.lines[0])
    assert {name: kept[name] for name in json.loads(line)} == json.loads(line)


def test_it_is_kept_and_shown_and_one_rule_tells_of_each_line_of_code(log: logging.Logger) -> None:
    settings = Settings.from_env(service="shop")
    (sink,) = open_sinks(settings)
    watch = Watch(settings, [sink])
    token = jwt()
    for line in range(400):  # four hundred places, one token, in requests of one caller
        exchange = watch.open(facts(token))
        record = logging.makeLogRecord(
            {"name": "shop", "pathname": "/srv/x.py", "lineno": line, "msg": token, "levelno": 30}
        )
        log.handle(record)
        exchange.end()
    sink.close()
    collector = Collector(CollectorSettings(state_dir=settings.state_dir, tick=0.02, commit_every=0.05))
    running = threading.Thread(target=collector.run, args=(lambda _: None,))
    running.start()
    try:
        found = arrived(settings.state_dir, 400)
    finally:
        collector.stop()
        running.join(20)
    assert len(found) == 400
    assert {(event["kind"], event["outcome"], event["service"]) for event in found} == {("leak", None, "shop")}
    with Reader(settings.state_dir) as reader, reader.state.read() as conn:
        assert reader.events(outcome=list(Outcome)) == []
        assert len(reader.events(kind="leak", limit=None)) == 400
        told = episodes.list_(conn, limit=None)
        assert {one.rule for one in told} == {"leaked_token"}
        assert sorted(one.key["detail"] for one in told) == sorted(event["detail"] for event in found)


def arrived(folder: Path, count: int) -> list[dict[str, Any]]:
    """What the collector has, once it has so many."""
    deadline = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.1)
        with suppress(BearerwatchError), Reader(folder) as reader:  # not begun yet
            found = reader.events(limit=None)
    return found


def test_past_the_quota_lines_of_code_are_still_told_apart() -> None:
    kept = Kept()
    watch = Watch(Settings(service="shop"), [kept])
    for line in (7, 7, 8):
        watch.leaked(culprits.Leak("shop", "/srv/x.py", line, 5))
    overflow = Overflow()
    for event in kept.events:
        assert overflow.take(event, 0.0) == []
    assert sorted((event.detail, event.count) for event in overflow.flush()) == [
        ("/srv/x.py:7 shop", 10),
        ("/srv/x.py:8 shop", 5),
    ]
