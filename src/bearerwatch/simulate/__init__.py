"""Rehearsal: days of made-up traffic with attacks in them, and a file that says what they were.

``people`` and ``traffic`` are ordinary life, ``incidents`` what goes wrong in it, ``attacks`` what is done to it on
purpose; ``simulation`` puts them together slice by slice, as numbers, and ``text`` makes events of these.
"""

from __future__ import annotations

__all__: list[str] = []
