"""One revoked token, and the line of JSON it is kept and sent as."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from bearerwatch.redact import redact_text

__all__ = [
    "MAX_ENTRIES",
    "MAX_LINE",
    "TOKEN_ID",
    "Revocation",
    "collect",
    "dump",
    "in_force",
    "lines",
    "merge",
    "parse",
    "readable",
    "revoke",
]

TOKEN_ID = re.compile(r"k[0-9a-f]{8}:[0-9a-f]{32}", re.ASCII)
"""A whole fingerprint. ``short:<length>`` is none: very many credentials share it."""
MAX_LINE = 4096
"""Bytes a line may have."""
MAX_ENTRIES = 1_000_000
"""Entries a process holds, some 200 MB: beyond that the latest revoked ones are kept."""
_MAX_TEXT = 256
_MAX_TIME = 253_402_300_799  # the end of the year 9999: what databases hold

_Id = Annotated[str, Meta(pattern=rf"\A{TOKEN_ID.pattern}\Z")]
_Time = Annotated[int, Meta(ge=0, le=_MAX_TIME)]
_Text = Annotated[str, Meta(max_length=_MAX_TEXT)]


class Revocation(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A token that is withdrawn. It holds the token's fingerprint, never the token. Times are Unix times in seconds."""

    token_id: _Id
    """As :func:`bearerwatch.fingerprint.fingerprint` makes it, and events, logs and alerts show it."""
    at: _Time
    """When it was revoked."""
    until: _Time | None = None
    """When it may be forgotten, because the token has expired by then; ``None`` keeps it until somebody undoes it."""
    by: _Text | None = None
    """Who revoked it."""
    reason: _Text | None = None
    """Why, in the words of who did."""


_decoder = msgspec.json.Decoder(Revocation)


def revoke(token_id: str, *, at: float, until: float | None = None, by: str = "", reason: str = "") -> Revocation:
    """A revocation from what a person or a program says. Texts are redacted and cut.

    Raises:
        ValueError: *token_id* is no whole fingerprint; it is not repeated, for it may be a token.
    """
    if not TOKEN_ID.fullmatch(token_id):
        raise ValueError(
            "that is no whole fingerprint: give <key id>:<32 hex digits>, as events have it, never a token"
        )
    return Revocation(
        token_id=token_id,
        at=int(at),
        # never too early: of a token that expires within this second nothing is forgotten before its end
        until=None if until is None else min(math.ceil(until), _MAX_TIME),
        by=redact_text(by)[:_MAX_TEXT] or None,
        reason=redact_text(reason)[:_MAX_TEXT] or None,
    )


def parse(line: bytes) -> Revocation:
    """The revocation in one line of JSON.

    Raises:
        ValueError: it holds none. The line is not repeated: somebody may have put a token there.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"the line is longer than {MAX_LINE} bytes")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("the line is no revocation") from None


def dump(entry: Revocation) -> bytes:
    """*entry* as one line of JSON, without the newline."""
    return msgspec.json.encode(entry)


def merge(known: Revocation, new: Revocation) -> Revocation:
    """One entry of two for the same token: first revoked when the earlier was, and for as long as the longer."""
    first, second = sorted((known, new), key=lambda entry: entry.at)
    until = None if known.until is None or new.until is None else max(known.until, new.until)
    return replace(first, until=until, by=first.by or second.by, reason=first.reason or second.reason)


def readable(lines: Iterable[bytes]) -> dict[str, Revocation]:
    """The revocations in *lines*, the last of each token; what is none is passed over."""
    found: dict[str, Revocation] = {}
    for line in lines:
        try:
            entry = parse(line)
        except ValueError:
            continue
        found[entry.token_id] = entry
    return found


def in_force(entries: Iterable[Revocation]) -> list[Revocation]:
    """Those of *entries* that are not to be forgotten by now, first revoked first."""
    now = time.time()
    return sorted((one for one in entries if one.until is None or one.until > now), key=lambda one: one.at)


def collect(lines: Iterable[bytes], now: float) -> tuple[dict[str, float], int]:
    """What is in force of *lines*: token id to the Unix time it may be forgotten at, and how many lines were refused.

    Empty lines and comments (``#``) are passed over. Beyond :data:`MAX_ENTRIES` those revoked first are left out.
    """
    found: dict[str, float] = {}
    refused = 0
    for raw in lines:
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            entry = parse(line)
        except ValueError:
            refused += 1
            continue
        until = math.inf if entry.until is None else float(entry.until)
        if until <= now:
            continue
        known = found.get(entry.token_id)
        found[entry.token_id] = until if known is None else max(known, until)
        if len(found) > MAX_ENTRIES + MAX_ENTRIES // 8:
            found = _latest(found)
    return _latest(found), refused


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of what comes in pieces. Of one longer than :data:`MAX_LINE` no more is kept than shows that.

    They end in a newline alone: JSON escapes every other.
    """
    rest = b""
    for piece in pieces:
        whole = (rest + piece).split(b"\n")
        rest = whole.pop()[: MAX_LINE + 1]
        yield from whole
    if rest:
        yield rest


def _latest(found: dict[str, float]) -> dict[str, float]:
    """The last :data:`MAX_ENTRIES` of a list in the order of revocation, as ours are."""
    over = len(found) - MAX_ENTRIES
    return dict(islice(found.items(), over, None)) if over > 0 else found
