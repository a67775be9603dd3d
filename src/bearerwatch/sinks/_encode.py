"""An event as one JSON line."""

from __future__ import annotations

from typing import Any

import msgspec

from bearerwatch.event import AuthEvent

__all__ = ["encode_line"]

_encoder = msgspec.json.Encoder()


def encode_line(event: AuthEvent) -> bytes:
    r"""*event* as UTF-8 JSON with a newline. JSON escapes every control character: one event, one line."""
    try:
        return _encoder.encode(event) + b"\n"
    except UnicodeEncodeError:  # lone surrogates, which a hostile header may smuggle in
        changes: dict[str, Any] = {
            name: value.encode("utf-8", "replace").decode()
            for name in event.__struct_fields__
            if type(value := getattr(event, name)) is str
        }
        return _encoder.encode(msgspec.structs.replace(event, **changes)) + b"\n"
