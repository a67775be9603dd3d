"""Traefik: its JSON access log, and its text, which is ``combined`` with five more fields.

https://doc.traefik.io/traefik/observability/access-logs/
"""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import _escapes, _values
from bearerwatch.ingest.access._fields import Field, header, headers
from bearerwatch.ingest.access._json_lines import JsonLines
from bearerwatch.ingest.access._template import ESCAPED, Template

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine
    from bearerwatch.ingest.access._line import AccessLine

__all__ = ["open_format"]


def open_format(layout: str, zone: tzinfo) -> ReadLine:
    """What reads Traefik's lines; it takes no *layout*."""
    if layout:
        raise ConfigurationError("Traefik's lines have no layout of their own: say traefik alone")
    keys = {
        "StartUTC": Field("started", _values.iso(zone)),
        "StartLocal": Field("started", _values.iso(zone), rank=1),
        "Duration": Field("duration_us", _values.number(1)),
        "DownstreamStatus": Field("status", _values.status),
        "RequestMethod": Field("method", _values.text),
        "RequestPath": Field("target", _values.text),
        "ClientHost": Field("peer", _values.text),
        "ClientAddr": Field("peer", _values.text, rank=1),
        **headers("request_"),
    }
    answered = header("X-Request-Id", answered=True)
    if answered is not None:
        keys["downstream_X-Request-Id"] = answered
        keys["origin_X-Request-Id"] = answered
    lines, text = JsonLines(keys, server="traefik"), _text()

    def read(line: str) -> AccessLine:
        return lines(line) if line.startswith("{") else text(line)

    return read


def _text() -> Template:
    agent = header("User-Agent")
    return Template(
        [
            *(("client", Field("peer", _values.text)), " - ", ("user", None), " ["),
            *(("time", Field("started", _values.clf)), '] "'),
            *(("request", Field("request", _values.text, free=True)), '" '),
            *(("status", Field("status", _values.status)), " ", ("size", None), ' "'),
            *(("referer", None), '" "', ("agent", agent), '" ', ("count", None), ' "'),
            *(("router", None), '" "', ("server", None), '" '),
            *(("duration", Field("duration_us", _values.number(1_000_000))), "ms"),
        ],
        unescape=_escapes.apache,
        quoted=ESCAPED,
        tail=True,
        server="traefik",
    )
