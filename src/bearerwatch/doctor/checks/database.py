"""The state database: reachable, migrated, and every notice told."""

from __future__ import annotations

from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import BearerwatchError

__all__ = ["NAME", "ORDER", "look"]

NAME = "state database"
ORDER = 60


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - needs the server extra

    from bearerwatch.store import outbox  # noqa: PLC0415
    from bearerwatch.store.state import State, default_url  # noqa: PLC0415

    if site.database is None and not (site.state / "state.db").exists():
        report(
            finding(
                "E030",
                f"There is no collector state in {site.state}.",
                "Start the collector with 'bearerwatch serve', or name its folder with --state or BEARERWATCH_STATE.",
            )
        )
        return "no state database"
    state = State(site.database or default_url(site.state))
    try:
        state.check()
        with state.read() as conn:
            counts = outbox.counts(conn)
    except BearerwatchError as caught:
        report(finding("E031", f"{caught}", "See that the database runs and can be reached."))
        return "the state database cannot be used"
    except SQLAlchemyError as caught:
        report(
            finding(
                "E032",
                f"The state database cannot be read ({type(getattr(caught, 'orig', None) or caught).__name__}).",
                "It is damaged or no database of ours: stop the collector, move it away and restore a copy.",
            )
        )
        return "the state database cannot be used"
    finally:
        state.close()
    if counts["dead"]:
        report(
            finding(
                "W063",
                f"{counts['dead']} notices were given up in the last 30 days: somebody was not told.",
                "See which with 'bearerwatch alerts show ID', and mend their channel.",
            )
        )
    return f"{state.dialect}, {counts['delivered']} notices delivered, {counts['waiting']} waiting"
