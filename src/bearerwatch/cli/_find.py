"""Looking up events and alerts for whichever command shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch.errors import BearerwatchError, ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from bearerwatch.store.episodes import Episode
    from bearerwatch.store.reader import Reader

__all__ = ["find", "find_alert"]


def find(reader: Reader, tokens: list[str], **filters: Any) -> list[dict[str, Any]]:
    """Events that fit, oldest first; those of any of *tokens* if there are some.

    Raises:
        ConfigurationError: the beginning of a fingerprint fits several tokens.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        for token in tokens or (None,):
            for event in reader.timeline(token=token, **filters):
                found[event["event_id"]] = event
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"--token: {error}") from None
    ordered = sorted(found.values(), key=lambda event: (event["ts"], event["event_id"]))
    limit = filters.get("limit")
    return ordered if limit is None else ordered[-limit:]


def find_alert(conn: Connection, beginning: str) -> Episode:
    """The alert whose id begins so.

    Raises:
        ConfigurationError: that is no beginning of an id, or several begin so.
        BearerwatchError: there is none.
    """
    import sqlalchemy as sa  # noqa: PLC0415

    from bearerwatch.store import episodes  # noqa: PLC0415
    from bearerwatch.store.tables import episodes as table  # noqa: PLC0415

    wanted = beginning.strip().lower()
    if not wanted or len(wanted) > 64 or not set(wanted) <= set("0123456789abcdef"):
        raise ConfigurationError(
            "an alert's id is made of the digits 0 to 9 and a to f: 'bearerwatch alerts' lists them"
        )
    query = sa.select(table.c.id).where(table.c.id.startswith(wanted)).order_by(table.c.id).limit(6)
    ids = list(conn.execute(query).scalars())
    if len(ids) > 1 and wanted not in ids:
        raise ConfigurationError(f"several alerts begin with {wanted}: {', '.join(one[:16] for one in ids)}")
    episode = episodes.get(conn, wanted if wanted in ids else ids[0]) if ids else None
    if episode is None:
        raise BearerwatchError(f"there is no alert {wanted}: 'bearerwatch alerts --since 30d' lists them")
    return episode
