"""A record as JSON, whatever a client smuggled into the event it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.event import AuthEvent

__all__ = ["encode", "without_surrogates"]

_encoder = msgspec.json.Encoder()


def encode(record: Callable[[AuthEvent], Any], event: AuthEvent) -> bytes:
    """What *record* makes of *event*, as UTF-8 JSON; JSON escapes every control character, so it is one line."""
    try:
        return _encoder.encode(record(event))
    except UnicodeEncodeError:
        return _encoder.encode(record(without_surrogates(event)))


def without_surrogates(event: AuthEvent) -> AuthEvent:
    """*event* with a question mark for each lone surrogate: UTF-8 cannot say them, a hostile header may hold them."""
    changes: dict[str, Any] = {
        name: value.encode("utf-8", "replace").decode()
        for name in event.__struct_fields__
        if type(value := getattr(event, name)) is str
    }
    return msgspec.structs.replace(event, **changes)
