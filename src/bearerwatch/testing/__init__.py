"""For tests of applications that use bearerwatch: prove that no token is to be read anywhere after a run."""

from __future__ import annotations

from bearerwatch.testing.plants import Planted, plant
from bearerwatch.testing.sweep import Finding, Proof, Report, Sweep, Unread, prove

__all__ = ["Finding", "Planted", "Proof", "Report", "Sweep", "Unread", "plant", "prove"]
