"""Services: each still sends events, by a clock that is right."""

from __future__ import annotations

from datetime import timedelta

from bearerwatch.alert.notice import span
from bearerwatch.doctor.model import Report, Site, finding

__all__ = ["NAME", "ORDER", "look"]

NAME = "services"
ORDER = 120
_SILENT = timedelta(hours=1)
_REGULAR = 20
_SKEW = timedelta(seconds=5)


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    from bearerwatch.store.reader import Reader  # noqa: PLC0415 - needs the server extra

    if site.database is None and not (site.state / "state.db").exists():
        return "no events yet"
    with Reader(site.state, site.database) as reader:
        rows = reader.query(
            "SELECT service, count(*) AS events, max(ts) AS last, "
            "max(date_diff('microsecond', received_at, ts)) AS ahead, "
            "count(*) FILTER (kind = 'auth' AND client_ip IS NULL) AS nowhere "
            "FROM {events} WHERE ts >= $since GROUP BY service ORDER BY service",
            {"since": (site.now - timedelta(days=1)).replace(tzinfo=None)},
            since=site.now - timedelta(days=1),
        )
    for row in rows:
        service, silent = str(row["service"]), site.now - row["last"]
        if row["events"] >= _REGULAR and silent > _SILENT:
            report(
                finding(
                    "W080",
                    f"Service {service} sent {row['events']} events in a day and none for {span(silent)}.",
                    "See that it runs, that bearerwatch is still installed in it, and that its spool is tailed.",
                )
            )
        if row["nowhere"] >= max(_REGULAR, row["events"] // 2):
            report(
                finding(
                    "W082",
                    f"{row['nowhere']} of {row['events']} events of service {service} name no address: rules that "
                    "count by address see none of them.",
                    "If a proxy connects through a Unix socket, add unix to BEARERWATCH_TRUSTED_PROXIES there.",
                )
            )
        ahead = timedelta(microseconds=row["ahead"] or 0)
        if ahead > _SKEW:
            report(
                finding(
                    "W072",
                    f"The clock of service {service} is up to {span(ahead)} ahead of the collector's.",
                    "Synchronise the clocks (chrony, systemd-timesyncd): windows of time are cut by them.",
                )
            )
    if not rows:
        report(
            finding(
                "W081",
                "No event has arrived in the last day.",
                "Instrument an application as the README shows, and see that the collector runs and tails its spool.",
            )
        )
    return ", ".join(f"{row['service']} ({row['events']})" for row in rows) or "no events in the last day"
