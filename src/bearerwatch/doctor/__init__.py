"""What is misconfigured here, and how to mend it."""

from __future__ import annotations

from typing import Any

from bearerwatch import _units
from bearerwatch.alert.escape import printable
from bearerwatch.doctor.model import Check, Finding, Report, Site, finding
from bearerwatch.errors import BearerwatchError

__all__ = ["Check", "Finding", "Report", "Site", "examine", "finding", "units"]

_CHECKS = "bearerwatch.doctor.checks"


def units() -> list[Any]:
    """Every check's module, in the order in which they are told."""
    return sorted((_units.load(_CHECKS, name) for name in _units.names(_CHECKS)), key=lambda unit: unit.ORDER)


def examine(site: Site) -> list[Check]:
    """Make every check. One that cannot be made is itself a finding."""
    return [_made(unit, site) for unit in units()]


def _made(unit: Any, site: Site) -> Check:
    findings: list[Finding] = []
    try:
        said = unit.look(site, findings.append)
    except BearerwatchError as caught:
        said = "could not be looked at"
        findings.append(finding("E090", f"{caught}", "Mend that, then ask again."))
    except OSError as caught:
        said = "could not be looked at"
        reason = caught.strerror or type(caught).__name__
        findings.append(finding("E091", f"{unit.NAME}: {reason}.", "Run doctor as the collector's user."))
    except Exception as caught:  # noqa: BLE001 - one broken part must not hide what the others would say
        said = "could not be looked at"
        message = f"{unit.NAME}: {type(caught).__name__}."
        findings.append(finding("E092", message, "See the other findings, then ask again."))
    return Check(name=unit.NAME, said=printable(said, 500), findings=findings)
