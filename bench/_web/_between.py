"""What is done between two rounds, outside of the clock."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["rounds"]

rounds: list[Callable[[], object]] = []
