"""uvicorn: the one line its access logger writes, with or without colours and a time in front.

It writes no time by itself: give its formatter ``%(asctime)s``. Without one, a line that is followed as it comes has
the time it was read at, and one of a finished file is refused. Lines that are about no request are passed over.
https://www.uvicorn.org/settings/#logging
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import TYPE_CHECKING

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import _values
from bearerwatch.ingest.access._line import AccessLine, request_line

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine

__all__ = ["open_format"]

_COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}m")
_ACCESS = re.compile(
    r"(?:[^\"]{0,200}?\s)??(?P<peer>[^\s\"]*+) - \"(?P<request>(?:WebSocket )?+[^\n]*)\" "
    r"(?:(?P<status>\d{3})\b|\[(?P<word>accepted)\])[^\"]*\Z"
)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)(?:\s|\Z)")
_PORT = re.compile(r":\d{1,5}\Z")
_LOOKED_THROUGH = 200


def open_format(layout: str, zone: tzinfo) -> ReadLine:
    """What reads uvicorn's lines; it takes no *layout*."""
    if layout:
        raise ConfigurationError("uvicorn's access line has no layout of its own: say uvicorn alone")
    moment = _values.iso(zone)

    def read(line: str) -> AccessLine | None:
        if "\x1b" in line:
            line = _COLOUR.sub("", line)
        match = _ACCESS.match(line)
        if match is None:
            return None
        request = match["request"]
        if request.startswith("WebSocket "):
            method, target, status = "GET", request.removeprefix("WebSocket "), 101
            if match["status"] is not None:
                status = int(match["status"])
        else:
            found, target_found = request_line(request)
            method, target, status = found or "", target_found or "", int(match["status"] or 0)
        time = _TIME.search(line, 0, min(match.start("peer"), _LOOKED_THROUGH))
        return AccessLine(
            ended=None if time is None else moment(time[1]),
            status=_values.status(status),
            method=method or None,
            target=target or None,
            peer=_PORT.sub("", match["peer"]) or None,
        )

    return read
