"""JSON and base64url of tokens and key sets, read strictly: what two parsers may read in two ways is refused."""

from __future__ import annotations

import json
from binascii import a2b_base64
from typing import Any, NoReturn

__all__ = ["decoded", "json_object"]

_ENDS = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
_PADDING = ("", "", "==", "=")


def decoded(segment: str) -> bytes | None:
    """The bytes that *segment* is the one base64url of, without padding (RFC 7515 §2), or ``None``."""
    over = len(segment) % 4
    if over == 1 or "+" in segment or "/" in segment or "=" in segment:
        return None
    if over and segment[-1] not in _ENDS[over]:  # bits that say nothing are to be zero: else there are several of it
        return None
    try:
        return a2b_base64(segment.replace("-", "+").replace("_", "/") + _PADDING[over], strict_mode=True)
    except ValueError:  # other characters
        return None


def json_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object that *raw* is, or ``None``.

    Refused are members that stand there twice (RFC 7519 §4: one parser takes the first, another the last), ``NaN`` and
    ``Infinity``, which are no JSON (RFC 8259 §6), integers of thousands of digits, objects nested deeper than Python's
    recursion, and halves of surrogate pairs, which no log takes. No exception is raised, for one would hold the text.
    """
    try:
        text = raw.decode()
        value = _decode(text)
        if not isinstance(value, dict):
            return None
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member stands there twice")
    return made


def _no_number(_name: str) -> NoReturn:
    raise ValueError("no JSON number")


_decode = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number).decode
