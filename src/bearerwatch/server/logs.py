"""Access logs in the collector: what follows them, what makes events of their lines, and what was told of before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

import duckdb

from bearerwatch.ingest.access import open_format
from bearerwatch.ingest.access._decoder import AccessDecoder
from bearerwatch.ingest.access._events import AccessEvents
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.log_source import LogSource
from bearerwatch.ingest.log_tail import LogTail
from bearerwatch.ingest.told import Told
from bearerwatch.settings import Settings
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State

__all__ = ["Logs", "follow", "told_between"]

_BEFORE = timedelta(minutes=10)
_MOST = 65_536


class Logs(NamedTuple):
    """The logs that are followed."""

    tails: list[LogTail]
    decoder: AccessDecoder


def follow(
    sources: Sequence[LogSource],
    state: State,
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    decoder: Decoder,
    *,
    zone: tzinfo = UTC,
    complain: Complaints,
) -> Logs | None:
    """What follows *sources*; ``None`` without any.

    Args:
        sources: the logs.
        state: where offsets are remembered.
        lake: where events are.
        con: the connection *lake* uses.
        decoder: what all events go through; it learns which requests were told of in the last ten minutes.
        zone: of times in logs that name none.
        complain: takes what the operator should know.

    Raises:
        ConfigurationError: a layout, or a setting in the environment, cannot be used.
        StateBusy: the state database cannot be read just now.
    """
    if not sources:
        return None
    settings = Settings.from_env()
    makes = {
        (log.source, str(log.path.absolute())): AccessEvents(
            open_format(log.format, zone), log.service, settings, live=True
        )
        for log in sources
    }
    tails = [LogTail(log.path, log.source, state, complain=complain) for log in sources]
    now = datetime.now(UTC)
    decoder.told = Told(told_between(lake, con, None, now - _BEFORE, now))
    return Logs(tails, AccessDecoder(decoder, lambda raw: makes[raw.source, raw.segment]))


def told_between(
    lake: Lake, con: duckdb.DuckDBPyConnection, ids: set[str] | None, first: datetime, last: datetime
) -> list[tuple[str, str]]:
    """Who has told of requests: pairs of source and request id, the latest requests if there are very many.

    Args:
        lake: where events are.
        con: the connection *lake* uses.
        ids: the requests; all if not given.
        first: from this instant on; aware.
        last: until this instant; aware.

    Raises:
        StateBusy: the state database cannot be read just now.
    """
    wanted = "" if ids is None else " AND list_contains($3::VARCHAR[], request_id)"
    bounds: list[object] = [moment.astimezone(UTC).replace(tzinfo=None) for moment in (first, last)]
    values = bounds if ids is None else [*bounds, sorted(ids)]

    def work(events: str) -> list[tuple[str, str]]:
        found = con.execute(
            f"SELECT source, request_id FROM {events} WHERE kind = 'auth' AND request_id IS NOT NULL "  # noqa: S608
            f"AND ts BETWEEN $1 AND $2{wanted} ORDER BY ts DESC LIMIT {_MOST}",
            values,
        )
        return [(str(source), str(request_id)) for source, request_id in found.fetchall()][::-1]

    return lake.reading(first, last + timedelta(microseconds=1), work)
