"""The fingerprint key ring: configured, long enough, and read by nobody else."""

from __future__ import annotations

from pathlib import Path

from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import load_ring

__all__ = ["NAME", "ORDER", "look"]

NAME = "key ring"
ORDER = 30


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    generated = site.state / "fingerprint.key"
    file = site.env.get("BEARERWATCH_KEYS_FILE")
    if not site.env.get("BEARERWATCH_KEYS", "").strip() and not file and not generated.exists():
        report(
            finding(
                "W001",
                "No fingerprint key is configured and none has been generated yet: each host will make its own.",
                "Set BEARERWATCH_KEYS or BEARERWATCH_KEYS_FILE to the output of 'bearerwatch key new', the same on "
                "every host.",
            )
        )
        return "no key ring yet"
    try:
        ring = load_ring(site.env, folder=site.state)
    except ConfigurationError as caught:
        report(finding("E002", f"{caught}", "Make a key with 'bearerwatch key new'."))
        return "the key ring cannot be used"
    if ring.generated:
        report(
            finding(
                "W001",
                "The fingerprint key was generated for this machine alone: fingerprints of other hosts differ.",
                "Set BEARERWATCH_KEYS or BEARERWATCH_KEYS_FILE to the output of 'bearerwatch key new', the same on "
                "every host.",
            )
        )
    for path in (Path(file) if file else None, generated if ring.generated else None):
        if path is not None and path.exists() and path.stat().st_mode & 0o077:
            report(finding("W012", f"The key file {path} can be read by other users.", f"chmod 600 {path}"))
    return f"active key {ring.active_id}" + (", generated" if ring.generated else "")
