"""The sink ``stdout``."""

from __future__ import annotations

import os

import msgspec
import pytest

from bearerwatch import _units
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent
from bearerwatch.formats import encoder
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks
from bearerwatch.sinks.stdout import StdoutSink
from bearerwatch.testing.events import make_event


def test_each_event_is_a_line_of_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    (sink,) = open_sinks(Settings(sinks=("stdout",)))
    events = [make_event(path="/a\nb"), make_event()]
    for event in events:
        sink.send(event)
    sink.close()
    lines = capfd.readouterr().out.splitlines()
    assert [msgspec.json.decode(line, type=AuthEvent) for line in lines] == events


def test_a_pipe_nobody_reads_raises_which_the_watch_guards() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        StdoutSink(writer).send(make_event())
    os.close(writer)


@pytest.mark.parametrize("form", _units.names("bearerwatch.formats"))
def test_each_event_is_a_line_in_any_format(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    (sink,) = open_sinks(Settings(sinks=(f"stdout:{form}",)))
    events = [make_event(path="/a\nb\ud800"), make_event()]
    for event in events:
        sink.send(event)
    sink.close()
    assert capfd.readouterr().out.encode().splitlines() == [encoder(form)(event) for event in events]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("stdout:cef", "no format 'cef'; there are: ecs, ndjson, ocsf, otlp, syslog"),
        ("stdout:", "no format ''"),
        ("spool:ocsf", "spool has a format of its own"),
    ],
)
def test_a_format_that_will_not_do_is_named(word: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"BEARERWATCH_SINKS.*{says}"):
        open_sinks(Settings(sinks=(word,)))


def test_an_unknown_sink_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"BEARERWATCH_SINKS.*'kafka'.*log, otlp, spool, stdout, syslog"):
        open_sinks(Settings(sinks=("spool", "kafka")))
