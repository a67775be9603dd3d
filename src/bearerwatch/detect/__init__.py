"""Detection: Sigma rules to a small IR, the IR to exact sliding-window SQL, and episodes of what it finds.

``sigma`` reads rules, ``ir`` is what they mean, ``duckdb_sql`` is the one dialect spoken so far, ``rulebook`` finds
the rules there are, ``detector`` runs them on what has just arrived. ``rules/`` holds one file and one test file each.
"""

from __future__ import annotations

__all__: list[str] = []
