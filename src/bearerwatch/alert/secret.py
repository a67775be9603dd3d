"""Secrets a channel holds: readable by whoever asks for them by name, and by nothing else."""

from __future__ import annotations

import hmac
from typing import NoReturn

__all__ = ["Secret"]


class Secret:
    """A value that no repr, format string, log record or pickle gives away.

    Args:
        value: the secret itself.
        source: where it came from (``env BEARERWATCH_WEBHOOK_SECRET``); shown in its place.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """The secret. Hand it to the library that needs it and keep it nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.source}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash of a guessable secret is an oracle

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")
