"""Redaction of values that are no text yet: dicts read with their keys, and what they hold."""

from __future__ import annotations

from typing import Any

from bearerwatch.redact.engine import find, redact_text, replaced

__all__ = ["redact_value"]

_MAX_DEPTH = 8
_MAX_KEY = 64


def redact_value(value: Any, *, depth: int = 0) -> Any:
    """A copy of *value* without tokens, or *value* itself when it holds none. The caller's is never changed.

    Strings, bytes, dicts, lists, tuples and sets are looked into, to a bounded depth; a dict's value is read
    together with its key, as ``{"access_token": ...}`` would be. What lies deeper is shown as text if it holds
    one.
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        clean = redact_text(text)
        return value if clean == text else clean.encode("latin-1", "replace")
    if not isinstance(value, dict | list | tuple | set | frozenset):
        return value
    if depth >= _MAX_DEPTH:
        text = repr(value)
        clean = redact_text(text)
        return value if clean == text else clean
    if isinstance(value, dict):
        pairs = [(redact_value(key, depth=depth + 1), _keyed_value(key, item, depth)) for key, item in value.items()]
        unchanged = all(a is c and b is d for (a, b), (c, d) in zip(pairs, value.items(), strict=True))
        return value if unchanged else dict(pairs)
    before = list(value)
    items = [redact_value(item, depth=depth + 1) for item in before]
    if all(a is b for a, b in zip(items, before, strict=True)):
        return value
    if isinstance(value, tuple):
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return items
    return set(items) if isinstance(value, set) else frozenset(items)


def _keyed_value(key: Any, value: Any, depth: int) -> Any:
    if not isinstance(value, str) or not isinstance(key, str) or len(key) > _MAX_KEY:
        return redact_value(value, depth=depth + 1)
    lead = len(key) + 1
    spans = [span._replace(start=max(span.start - lead, 0), end=span.end - lead) for span in find(f"{key}={value}")]
    spans = [span for span in spans if span.end > span.start]
    return replaced(value, spans) if spans else value
