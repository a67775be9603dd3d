"""Something fails in the middle of a tick, and is done again: nothing is missed and nothing counted twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest

from bearerwatch.detect import recent
from bearerwatch.event import AuthEvent
from bearerwatch.store.state import StateBusy
from detect import oracle
from detect.rules import FIVE_IN_TEN
from detect.world import Collector, event

Make = Callable[..., Collector]


def fails(*at: float, ip: str = "192.0.2.1") -> list[AuthEvent]:
    return [event(ts, client_ip=ip) for ts in at]


def as_told(box: Collector, everything: Sequence[AuthEvent]) -> None:
    """What is saved is what the oracle makes of all events."""
    box.commit()
    found = {(tuple(e.key.values()), e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()}
    assert found == {tuple(told) for told in oracle.episodes(FIVE_IN_TEN, everything)}
    assert found


@contextmanager
def failing(part: Any, name: str, error: Exception) -> Iterator[None]:
    """The method of that name fails: no way to have that from a database at will."""
    whole = getattr(part, name)

    def fail(*_: object, **__: object) -> None:
        raise error

    setattr(part, name, fail)
    try:
        yield
    finally:
        setattr(part, name, whole)


def test_rows_that_wait_are_not_loaded_twice(collector: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest out of reach keeps one key from being looked at; another, whose rows wait, stays as it was."""
    monkeypatch.setattr(recent, "MOST_RARE", 8)
    box = collector(FIVE_IN_TEN)
    everything = [*fails(*range(5)), *(e for i in range(10) for e in fails(4, ip=f"198.51.100.{i}"))]
    box.tick(everything, 5)
    everything += (waiting := fails(5, 5.1))
    box.tick(waiting, 5.25)
    everything += (other := fails(5, 5, 5, 5, 5, ip="192.0.2.2"))
    with failing(box.state, "read", StateBusy("not now")), pytest.raises(StateBusy, match="not now"):
        box.tick(other, 5.5)
    box.again(5.6)
    everything += (more := fails(6))
    box.tick(more, 8)
    as_told(box, everything)


def test_a_batch_that_could_not_be_counted_is_counted_later(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    everything = fails(0, 1, 2, 3)
    box.tick(everything, 3)
    everything += (batch := fails(4, 5))
    full = duckdb.OutOfMemoryException("no room")
    watches = box.detector._evaluation._watches
    box.append(batch)
    with failing(watches, "take", full):
        for _ in range(2):
            with pytest.raises(StateBusy, match="no memory is left"):
                box.again(5)
    with pytest.raises(StateBusy, match="tick again"), box.state.begin() as tx:
        box.detector.save(tx)
    assert [change.transition for change in box.again(6)] == ["opened"]
    assert box.again(7) == []
    everything += (batch := fails(6))
    box.tick(batch, 8)
    as_told(box, everything)
    assert box.saved()[0].evidence["events"] == 7
    ((rows,),) = box.con.execute(f"SELECT count(*) FROM {recent.TABLE}").fetchall()
    assert rows == 7


def test_a_key_is_answered_though_others_of_its_tick_are_not(collector: Make) -> None:
    """What came late for the one needs the lake, which is away; what is late for the other is told as late."""
    box = collector(FIVE_IN_TEN, lateness=1)
    everything = fails(0, 1, 2, 3, ip="192.0.2.2")
    box.tick(everything, 3)
    box.commit()
    for ts in (400, 500):  # time to forget what was then
        everything += (batch := fails(ts, ip="198.51.100.1"))
        box.tick(batch, ts)
    box.commit()
    both = [*fails(500, 501, 502, 503, 504, 510), *fails(4, ip="192.0.2.2")]
    everything += both
    with failing(box.state, "read", StateBusy("not now")), pytest.raises(StateBusy, match="not now"):
        box.tick(both, 511)
    box.again(512)
    everything += (late := fails(507))
    box.tick(late, 513)
    as_told(box, everything)
