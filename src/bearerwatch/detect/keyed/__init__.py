"""Rules that ask for a key's past, evaluated as events arrive: what is remembered of each key, one file a kind."""

from __future__ import annotations

__all__: list[str] = []
