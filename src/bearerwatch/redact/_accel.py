"""The gate on Hyperscan, where the ``accel`` extra is installed: all anchors in one pass.

It finds the same anchors at the same places as the substring searches it replaces, so the exact stage sees
the same candidates and the spans are identical; a differential test holds it to that.
https://intel.github.io/hyperscan/dev-reference/
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["anchor_scanner"]


def anchor_scanner(anchors: Sequence[str]) -> Callable[[str], list[tuple[int, int]]] | None:
    """A function from ASCII text to ``(anchor's index, start)`` pairs in text order, or ``None`` without Hyperscan.

    ``BEARERWATCH_ACCEL=off`` does without it even where it is installed.

    Args:
        anchors: literals, matched without regard to case.
    """
    if os.environ.get("BEARERWATCH_ACCEL", "").lower() in {"0", "off", "no", "false"}:
        return None
    try:
        import hyperscan  # noqa: PLC0415 - at first use: importing the app side loads nothing native
    except ImportError:  # the extra is not installed, or this machine has no build of it
        return None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[_literal(anchor) for anchor in anchors],
        ids=list(range(len(anchors))),
        elements=len(anchors),
        flags=hyperscan.HS_FLAG_CASELESS,
    )
    lengths = [len(anchor) for anchor in anchors]
    local = threading.local()  # a scratch space serves one scan at a time

    def scan(text: str) -> list[tuple[int, int]]:
        try:
            scratch, found = local.scratch, local.found
        except AttributeError:
            scratch = local.scratch = hyperscan.Scratch(database)
            found = local.found = []
        found.clear()
        database.scan(text.encode("ascii"), match_event_handler=on_match, context=found, scratch=scratch)
        return list(found) if found else _NOTHING

    def on_match(index: int, _start: int, end: int, _flags: int, found: Any) -> None:
        found.append((index, end - lengths[index]))

    return scan


_NOTHING: list[tuple[int, int]] = []


def _literal(anchor: str) -> bytes:
    return "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in anchor).encode()
