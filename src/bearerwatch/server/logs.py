"""Access logs in the collector: what follows them, what makes events of their lines, and what was told of before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import duckdb

from bearerwatch.ingest.access import open_format
from bearerwatch.ingest.access._decoder import AccessDecoder
from bearerwatch.ingest.access._events import AccessEvents
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.log_tail import LogTail
from bearerwatch.ingest.told import Told
from bearerwatch.server.settings import CollectorSettings
from bearerwatch.settings import Settings
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State

__all__ = ["Logs", "follow", "told_around"]

_AROUND = timedelta(minutes=10)
_MOST = 65_536


class Logs(NamedTuple):
    """The logs that are followed."""

    tails: list[LogTail]
    decoder: AccessDecoder


def follow(
    told: CollectorSettings,
    state: State,
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    decoder: Decoder,
    *,
    complain: Complaints,
) -> Logs | None:
    """What follows the logs that the collector was *told* of; ``None`` without any.

    Args:
        told: the collector's settings.
        state: where offsets are remembered.
        lake: where events are.
        con: the connection *lake* uses.
        decoder: what all events go through; it learns which requests were told of in the last ten minutes.
        complain: takes what the operator should know.

    Raises:
        ConfigurationError: a layout, or a setting in the environment, cannot be used.
        StateBusy: the state database cannot be read just now.
    """
    if not told.tails:
        return None
    settings = Settings.from_env(state_dir=told.state_dir)
    makes = {
        (log.source, str(log.path.absolute())): AccessEvents(
            open_format(log.format, told.log_zone), log.service, settings, live=True
        )
        for log in told.tails
    }
    tails = [LogTail(log.path, log.source, state, complain=complain) for log in told.tails]
    now = datetime.now(UTC)
    decoder.told = Told(told_around(lake, con, None, now, now))
    return Logs(tails, AccessDecoder(decoder, lambda raw: makes[raw.source, raw.segment]))


def told_around(
    lake: Lake, con: duckdb.DuckDBPyConnection, ids: set[str] | None, first: datetime, last: datetime
) -> list[tuple[str, str]]:
    """Who has told of requests: pairs of source and request id.

    Args:
        lake: where events are, committed or not.
        con: the connection *lake* uses.
        ids: the requests; all if not given.
        first: from ten minutes before this instant on; aware.
        last: until ten minutes after this instant; aware.

    Returns:
        The earliest first; of very many the latest.

    Raises:
        StateBusy: the state database cannot be read just now.
    """
    first, last = first - _AROUND, last + _AROUND
    wanted = "" if ids is None else " AND list_contains($3::VARCHAR[], request_id)"
    values: list[object] = [moment.astimezone(UTC).replace(tzinfo=None) for moment in (first, last)]
    if ids is not None:
        values.append(sorted(ids))

    def work(events: str) -> list[tuple[str, str]]:
        found = con.execute(
            "SELECT source, request_id FROM (SELECT source, request_id, kind, ts "  # noqa: S608
            f"FROM {events} UNION ALL SELECT source, request_id, kind, ts FROM {lake.pending()}) "
            f"WHERE kind = 'auth' AND request_id IS NOT NULL AND ts BETWEEN $1 AND $2{wanted} "
            f"ORDER BY ts DESC LIMIT {_MOST}",
            values,
        )
        return [(str(source), str(request_id)) for source, request_id in found.fetchall()][::-1]

    return lake.reading(first, last, work)
