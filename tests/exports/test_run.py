"""One export: what a checkpoint keeps is what was delivered, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.exports import ExportError
from bearerwatch.exports.checkpoint import Checkpoint
from bearerwatch.exports.files import FileTarget
from bearerwatch.exports.run import Counts, run
from bearerwatch.exports.syslog import SyslogTarget
from bearerwatch.formats.ndjson import encode
from bearerwatch.sinks._destination import destination
from bearerwatch.store.stream import Batch, Mark
from bearerwatch.testing.events import make_event
from receivers import datagrams


class Made:
    """Four batches of two events; *between* is called before each."""

    total = 8

    def __init__(self, between: Callable[[int], None] = lambda _: None) -> None:
        self._between = between

    def __iter__(self) -> Iterator[Batch]:
        for number in range(4):
            self._between(number)
            yield Batch([make_event(), make_event()], mark(number))


def mark(number: int) -> Mark:
    return Mark(datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=number), f"id-{number}", "spool:orders")


def test_all_batches_are_handed_over(tmp_path: Path) -> None:
    said: list[str] = []
    with closing(Checkpoint(tmp_path / "mark", "x")) as kept:
        with closing(FileTarget(tmp_path / "out", encode, replace=False)) as target:
            assert run(Made(), target, checkpoint=kept, report=said.append, every=0.0) == Counts(8, 0)
        assert kept.mark == mark(3)
    assert len((tmp_path / "out").read_bytes().splitlines()) == 8
    assert said == [f"{count} of 8 events" for count in (2, 4, 6, 8)]


def test_of_a_file_that_was_not_finished_nothing_counts_as_delivered(tmp_path: Path) -> None:
    def taken(number: int) -> None:
        if number == 3:
            (tmp_path / "out").write_bytes(b"another's")

    with closing(Checkpoint(tmp_path / "mark", "x")) as kept:
        target = FileTarget(tmp_path / "out", encode, replace=False)
        with closing(target), pytest.raises(ExportError, match="by somebody else"):
            run(Made(taken), target, checkpoint=kept, report=print, every=60.0)
        assert kept.mark is None
    assert not (tmp_path / "mark").exists()


def test_what_was_delivered_before_a_run_broke_off_is_not_repeated(tmp_path: Path) -> None:
    def break_off(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with closing(Checkpoint(tmp_path / "mark", "x")) as kept, datagrams(tmp_path / "log"):
        target = SyslogTarget(destination(f"syslog+unix://{tmp_path / 'log'}"), patience=1.0, report=print)
        with closing(target), pytest.raises(KeyboardInterrupt):
            run(Made(break_off), target, checkpoint=kept, report=print, every=60.0)
        assert kept.mark == mark(1)


def test_what_the_receiver_refuses_is_counted() -> None:
    class Choosy:
        lasting = True

        def __init__(self) -> None:
            self.taken: list[AuthEvent] = []

        def send(self, events: list[AuthEvent]) -> int:
            self.taken += events
            return 1

        def finish(self) -> None:
            """Nothing is left to do."""

        def close(self) -> None:
            """Nothing to let go of."""

    target = Choosy()
    assert run(Made(), target, checkpoint=None, report=print, every=60.0) == Counts(8, 4)
    assert len(target.taken) == 8
