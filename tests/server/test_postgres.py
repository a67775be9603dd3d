"""The same collector with its state in PostgreSQL: offsets, episodes and notices commit with the events there too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from bearerwatch.event import Outcome
from bearerwatch.store.reader import Reader
from bearerwatch.store.state import State
from bearerwatch.store.tables import offsets, outbox


def test_from_spool_to_alert(
    site: Any,
    event: Callable[..., Any],
    until: Callable[..., Any],
    postgres_url: str,
) -> None:
    wrong = {"outcome": Outcome.INVALID, "verified": False, "status": 401, "client_ip": "203.0.113.7"}
    sink = site.sink()
    for _ in range(2):  # the second one takes up where the first ended
        running = site.start(database=postgres_url)
        for number in range(60):
            token = f"k00000000:{number:032x}"
            sink.send(event(**wrong, token_id=token, presented_id=token))
        sink.close()
        until(lambda: not list(site.spool.rglob("*.jsonl")))
        running.stop()

    with Reader(site.state_dir, postgres_url) as reader:
        ((count, distinct),) = [
            tuple(row.values()) for row in reader.query("SELECT count(*), count(DISTINCT event_id) FROM {events}")
        ]
    state = State(postgres_url)
    with state.read() as conn:
        keys = list(conn.execute(sa.select(outbox.c.key)).scalars())
        left = conn.execute(sa.select(offsets)).all()
    state.close()
    assert (count, distinct) == (120, 120)
    assert keys
    assert len(keys) == len(set(keys))
    assert left == []
