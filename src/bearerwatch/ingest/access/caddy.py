"""Caddy: its JSON access log.

https://caddyserver.com/docs/logging
"""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import _values
from bearerwatch.ingest.access._fields import Field, header, headers
from bearerwatch.ingest.access._json_lines import JsonLines

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine
    from bearerwatch.ingest.access._line import AccessLine

__all__ = ["open_format"]


def open_format(layout: str, zone: tzinfo) -> ReadLine:
    """What reads Caddy's lines; it takes no *layout*."""
    if layout:
        raise ConfigurationError("Caddy's JSON lines have no layout of their own: say caddy alone")
    seconds, text_time = _values.epoch(1), _values.iso(zone)

    def moment(value: Any) -> Any:
        """Seconds since 1970, or text where the encoder was told so: its own has slashes."""
        return seconds(value) or (text_time(value.replace("/", "-")) if isinstance(value, str) else None)

    keys = {
        "ts": Field("ended", moment),
        "duration": Field("duration_us", _values.number(1_000_000_000)),
        "status": Field("status", _values.status),
        "request.method": Field("method", _values.text),
        "request.uri": Field("target", _values.text),
        "request.remote_ip": Field("peer", _values.text),
        "request.client_ip": Field("client", _values.text),
        **headers("request.headers."),
    }
    answered = header("X-Request-Id", answered=True)
    if answered is not None:
        keys["resp_headers.X-Request-Id"] = answered
    lines = JsonLines(keys, server="caddy", asked=True)

    def read(line: str) -> AccessLine | None:
        if '"http.log.access' not in line and '"request"' not in line:  # its own affairs
            return None
        return lines(line)

    return read
