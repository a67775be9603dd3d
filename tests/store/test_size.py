"""What an event costs on the disk."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bearerwatch.store import manifest
from store.kept import Kept
from store.made import HOUR, traffic


@pytest.mark.parametrize(("own_request_ids", "most"), [(False, 85), (True, 100)])
def test_an_event_with_all_fields_takes_no_more_than_a_hundred_bytes(
    kept: Kept, own_request_ids: bool, most: int
) -> None:
    events = traffic(16_000, own_request_ids=own_request_ids)
    for start in range(0, len(events), 1000):
        kept.keep(events[start : start + 1000])
    kept.lake.compact(HOUR + timedelta(days=1))

    with kept.state.read() as conn:
        files, rows, size = manifest.totals(conn)
    assert (files, rows) == (1, len(events))
    assert size / rows <= most
