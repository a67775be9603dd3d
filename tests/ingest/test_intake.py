"""The queue between HTTP and the collector: a database that does not answer for a while costs no event."""

from __future__ import annotations

from pathlib import Path

import pytest

from bearerwatch.ingest.intake import Answer, Batch, Intake
from bearerwatch.ingest.lines import RawLine
from bearerwatch.store.state import State, StateBusy


def put(intake: Intake, segment: str, start: int, line: bytes) -> Batch:
    """One request of one line."""
    end = start + len(line) + 1
    source = "http:edge0"
    batch = Batch(source, [RawLine(source, segment, end, line)], 100, segment=segment, start=start, end=end)
    intake.reserve(source, batch.size)
    intake.put(batch)
    return batch


def commit(intake: Intake, state: State) -> None:
    with state.begin() as tx:
        intake.save(tx)
    intake.committed()


def test_a_database_that_goes_away_between_two_batches(state: State, tmp_path: Path) -> None:
    """The first batch's segment is known, the second's has to be looked up: the first is handed out all the same."""
    intake = Intake(state)
    put(intake, "known", 0, b"one")
    intake.poll()
    commit(intake, state)
    two, three = put(intake, "known", 4, b"two"), put(intake, "other", 0, b"three")
    state.close()
    (tmp_path / "state").rename(tmp_path / "away")

    assert intake.poll() == [two]
    with pytest.raises(StateBusy):
        intake.poll()
    assert not two.done.done()

    (tmp_path / "away").rename(tmp_path / "state")
    assert intake.poll() == [three]
    two.answer = three.answer = Answer(1, 0)
    commit(intake, state)
    assert [two.done.result(0), three.done.result(0)] == [Answer(1, 0), Answer(1, 0)]
    assert not intake.expecting
