"""What an event costs on the disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from bearerwatch.store import manifest
from bearerwatch.store.engine import connect
from bearerwatch.store.state import State, default_url
from store.kept import Kept
from store.made import HOUR, traffic


def size(kept: Kept, events: list[bytes]) -> float:
    """Bytes an event, once the hour is merged."""
    for start in range(0, len(events), 1000):
        kept.keep(events[start : start + 1000])
    kept.lake.compact(HOUR + timedelta(days=1))
    with kept.state.read() as conn:
        files, rows, bytes_ = manifest.totals(conn)
    assert (files, rows) == (1, len(events))
    return bytes_ / rows


def test_an_event_with_all_fields_takes_no_more_than_a_hundred_bytes(kept: Kept) -> None:
    """Though four fifths of that are ids nobody can compress: 73 bytes of randomness."""
    assert size(kept, traffic(24_000, own_request_ids=True)) <= 100


def test_an_id_that_repeats_another_costs_nothing(
    kept: Kept, tmp_path_factory: pytest.TempPathFactory, opened: Callable[[str], State]
) -> None:
    other = tmp_path_factory.mktemp("other")
    with closing(connect(other / "tmp")) as con:
        twin = Kept(other, opened(default_url(other)), con, [])
        saved = size(twin, traffic(3000, own_request_ids=True)) - size(kept, traffic(3000))

    assert saved >= 16
