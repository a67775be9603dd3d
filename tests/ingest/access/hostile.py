"""What clients and broken disks put into access logs, for every format alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.ingest.access import Unreadable, open_format
from bearerwatch.ingest.access._decoder import AccessDecoder
from bearerwatch.ingest.access._events import AccessEvents
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.lines import RawLine
from bearerwatch.settings import Settings

__all__ = ["NOW", "decoded", "survives", "told"]

NOW = datetime(2040, 1, 1, tzinfo=UTC)
"""Later than any line here was written, made up or real."""
_PIECES = st.one_of(
    st.sampled_from(('"', "\\", "\\x", "\\x1", "\\u12", " ", "[", "]", "{", "}", "-", "\x00", "\x1b[2J", "%", "%ff")),
    st.sampled_from(("?", "=", "&", "GET / HTTP/1.1", "401", "access_token=", "22/Nov/2026:11:09:06 +0000", "\ufffd")),
    st.text(max_size=12),
)


def told(line: Any) -> dict[str, Any]:
    """What is known of a line, without what is not."""
    return {name: value for name in line.__struct_fields__ if (value := getattr(line, name)) not in (None, False)}


def decoded(layout: str, *lines: bytes, **options: Any) -> Any:
    """What the collector makes of *lines*."""
    live = options.pop("live", True)
    events = AccessEvents(open_format(layout), "edge", Settings(**options), live=live)
    decode = AccessDecoder(Decoder(), lambda _: events)
    end, raws = 0, []
    for line in lines:
        end += len(line) + 1
        raws.append(RawLine("access:edge", "access.log", end, line))
    return decode(raws, NOW)


def survives(layout: str, *examples: str) -> None:
    """Every line is read or refused, whatever is put in the place of any stretch of a good one."""
    read = open_format(layout)
    events = AccessEvents(read, "edge", Settings(), live=True)
    whole: Callable[[Any, datetime], Any] = AccessDecoder(Decoder(), lambda _: events)

    @settings(max_examples=100)
    @given(st.sampled_from(examples), st.integers(0, 400), st.integers(0, 30), st.lists(_PIECES, max_size=6))
    def changed(line: str, at: int, length: int, pieces: list[str]) -> None:
        at %= len(line) + 1
        broken = line[:at] + "".join(pieces) + line[at + length :]
        raw = broken.replace("\n", " ").encode("utf-8", "surrogatepass")
        with suppress(Unreadable):
            read(raw.decode("utf-8", "replace"))
        done = whole([RawLine("access:edge", "access.log", len(raw) + 1, raw)], NOW)
        assert len(done.lines) + len(done.rejected) + done.duplicates <= 3

    @settings(max_examples=30)
    @given(st.binary(max_size=300))
    def noise(raw: bytes) -> None:
        whole([RawLine("access:edge", "access.log", len(raw) + 1, raw)], NOW)

    changed()
    noise()
