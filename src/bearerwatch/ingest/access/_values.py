"""How values stand in access logs: times, durations, statuses. Each reader gives ``None`` for what is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

__all__ = [
    "clf",
    "epoch",
    "iso",
    "number",
    "status",
    "strftime",
    "text",
]

_CLF = re.compile(r"\[?(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? ([+-])(\d\d)(\d\d)\]?\Z")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,12})?\Z").match
_FRACTION = re.compile(r"(\.\d{6})\d+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799  # 9999-12-31T23:59:59Z
_STRF = re.compile(r"%([-_0^#EO]?[A-Za-z%]|[1-9]f)")
_STRPTIME = frozenset("aAbBcdfHIjmMpSUwWxXyYzZGuV%")
_LONG_DURATION = 10**13


def text(value: Any) -> str | None:
    """The value itself; ``-`` and nothing are none."""
    return value if isinstance(value, str) and value not in ("", "-") else None


def status(value: Any) -> int | None:
    """An HTTP status; 0, which some write for a connection without an answer, is none."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= 4 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 999 else None


def number(unit: int) -> Callable[[Any], int | None]:
    """A duration in some unit as whole microseconds, *unit* nanoseconds being one; below zero is none."""
    factor = unit / 1_000

    def read(value: Any) -> int | None:
        if isinstance(value, str):
            if _NUMBER(value) is None:
                return None
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value * factor <= _LONG_DURATION:
            return None
        return round(value * factor)

    return read


@lru_cache(maxsize=1_024)
def clf(value: Any) -> datetime | None:
    """``22/Nov/2026:11:09:06 +0100``, with or without brackets, perhaps with a fraction. Lines of a second share it."""
    match = _CLF.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    day, month, year, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        return datetime(
            int(year),
            _MONTHS.get(month, 0),
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # a leap second
            int((fraction or "0").ljust(6, "0")),
            tzinfo=timezone(-offset if sign == "-" else offset),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def iso(zone: tzinfo) -> Callable[[Any], datetime | None]:
    """ISO 8601, with any fraction; *zone* is that of times which name none."""

    def read(value: Any) -> datetime | None:
        if not isinstance(value, str) or len(value) > 40:
            return None
        if len(value) > 26:
            value = _FRACTION.sub(r"\1", value)
        try:
            parsed = datetime.fromisoformat(value.replace(",", ".", 1))
            return (parsed.replace(tzinfo=zone) if parsed.tzinfo is None else parsed).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    return read


def epoch(per_second: int) -> Callable[[Any], datetime | None]:
    """Time since 1970 in units of which there are *per_second* in a second."""

    def read(value: Any) -> datetime | None:
        if isinstance(value, str):
            if _NUMBER(value) is None:
                return None
            whole, _, fraction = value.partition(".")
            micros = int(whole) * 1_000_000 // per_second
            if fraction:
                micros += int(fraction.ljust(6, "0")[:6]) // per_second
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**20:
            micros = round(value / per_second * 1_000_000)
        else:
            return None
        if not 0 <= micros // 1_000_000 <= _LATEST:
            return None
        return _EPOCH + timedelta(microseconds=micros)

    return read


def strftime(layout: str, zone: tzinfo) -> Callable[[Any], datetime | None] | None:
    """A time written by the C function of that name; ``None`` if *layout* holds what cannot be read back.

    Beside its own directives, ``%s`` (seconds since 1970) and fractions as ``%3f``.
    """
    seconds = {"%s": 1, "%s%3f": 1_000, "%s%6f": 1_000_000, "%s%9f": 1_000_000_000}
    if layout in seconds:
        return epoch(seconds[layout])
    if re.fullmatch(r"%s\.%[1-9]?f", layout):
        return epoch(1)
    if layout in ("%FT%T%z", "%Y-%m-%dT%H:%M:%S%z") or re.fullmatch(r"%Y-%m-%d[T ]%H:%M:%S(?:\.%[1-9]?f)?Z?", layout):
        return iso(UTC if layout.endswith("Z") else zone)
    layout = layout.replace("%T", "%H:%M:%S").replace("%F", "%Y-%m-%d").replace("%D", "%m/%d/%y")
    layout = layout.replace("%R", "%H:%M").replace("%e", "%d").replace("%h", "%b")
    layout = re.sub(r"%[1-9]f", "%f", layout)
    if any(found[-1] not in _STRPTIME or len(found) > 1 for found in _STRF.findall(layout)):
        return None

    @lru_cache(maxsize=1_024)
    def read(value: Any) -> datetime | None:
        try:
            parsed = datetime.strptime(value, layout)  # noqa: DTZ007 - the zone follows
            return (parsed.replace(tzinfo=zone) if parsed.tzinfo is None else parsed).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            return None

    return read
