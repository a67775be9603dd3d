"""Our own schema, one JSON object a line: what the spool holds and what HTTP ingest takes.

Fields that have their default are left out; ``schema_version`` stands in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bearerwatch.event import AuthEvent
from bearerwatch.formats._json import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAPPING", "encode"]

MAPPING: Mapping[str, str] = {name: name for name in AuthEvent.__struct_fields__}
"""Where each field of an event stands."""

_encoder = msgspec.json.Encoder()


def encode(event: AuthEvent) -> bytes:
    """*event* as one UTF-8 JSON object."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        return _encoder.encode(without_surrogates(event))
