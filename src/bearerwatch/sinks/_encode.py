"""An event as one JSON line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearerwatch.formats.ndjson import encode

if TYPE_CHECKING:
    from bearerwatch.event import AuthEvent

__all__ = ["encode_line"]


def encode_line(event: AuthEvent) -> bytes:
    r"""*event* as UTF-8 JSON with a newline. JSON escapes every control character: one event, one line."""
    return encode(event) + b"\n"
