"""Keys in focus: how often they are asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bearerwatch.detect import sketch
from bearerwatch.event import AuthEvent
from detect import oracle
from detect.rules import CHAINED
from detect.world import Collector, event

Make = Callable[..., Collector]


def test_who_shares_a_counter_with_others_is_not_asked_about_at_every_tick(
    collector: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own events say that it was not let in; as soon as it is, that is told at once, late or not."""
    monkeypatch.setattr(sketch, "_BUCKETS", 1)
    box = collector(CHAINED)
    asked: list[int] = []
    focus: Any = box.detector._evaluation._focus
    hits = focus.hits
    focus.hits = lambda watch, due, *a, **k: asked.extend([1] * (("a",) in due)) or hits(watch, due, *a, **k)
    everything: list[AuthEvent] = []

    def tick(at: float, *events: AuthEvent) -> list[str]:
        everything.extend(events)
        return [change.transition for change in box.tick(events, at)]

    for i in range(40):
        at = i / 4
        heard = tick(at, event(at, client_ip="a"), event(at, "success", client_ip=f"b{i % 7}", count=3))
        assert heard == []
    assert len(asked) <= 2
    assert tick(10, event(9.9, "success", client_ip="a")) == ["opened"]
    assert tick(11, event(11, client_ip="c")) == []
    assert tick(12, event(1.9, "success", client_ip="a"), event(1.9, client_ip="c", count=2)) == []
    box.commit()
    told = {tuple(episode) for episode in oracle.episodes(CHAINED, everything)}
    assert {(tuple(e.key.values()), e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()} == told
