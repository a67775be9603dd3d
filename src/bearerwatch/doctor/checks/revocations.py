"""The list of withdrawn tokens: there, readable, and of keys that are known."""

from __future__ import annotations

from collections import Counter

from bearerwatch.alert.notice import counted
from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import load_ring
from bearerwatch.verify.revocations import Found, SourceLost, open_source

__all__ = ["NAME", "ORDER", "look"]

NAME = "revocations"
ORDER = 35


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    url = site.env.get("BEARERWATCH_REVOCATIONS", "").strip()
    if not url:
        return "no list of withdrawn tokens is named"
    try:
        found = open_source(url).poll() or Found({})
    except ConfigurationError as caught:
        report(finding("E045", f"{caught}.", "Mend BEARERWATCH_REVOCATIONS: the application does not start with it."))
        return "the list of withdrawn tokens"
    except SourceLost as lost:
        report(
            finding(
                "E046",
                f"The list of withdrawn tokens cannot be read: {lost}.",
                "Until then services keep the last one they had; one that never had any refuses no token as withdrawn.",
            )
        )
        return "the list of withdrawn tokens"
    if found.refused:
        report(
            finding(
                "W045",
                f"{counted(found.refused, 'line')} of the list of withdrawn tokens are no revocations: none of them is "
                "in force.",
                "See what wrote them, and revoke those tokens once more with 'bearerwatch revoke'.",
            )
        )
    _look_at_keys(site, report, found)
    return f"{counted(len(found.entries), 'token')} withdrawn"


def _look_at_keys(site: Site, report: Report, found: Found) -> None:
    if not site.env.get("BEARERWATCH_KEYS") and not site.env.get("BEARERWATCH_KEYS_FILE"):
        return  # another check says so
    try:
        known = load_ring(site.env, folder=site.state).key_ids
    except ConfigurationError:
        return  # likewise
    strange = Counter(key for key in (one.partition(":")[0] for one in found.entries) if key not in known)
    for key, count in strange.most_common(3):
        report(
            finding(
                "W046",
                f"{counted(count, 'withdrawn token')} of key {key}, which is not in this ring: services with the same "
                "ring do not refuse them.",
                "Add the key that belongs to it behind the active one, see 'Keys and rotation'; or revoke them once "
                "more under a key that is there.",
            )
        )
