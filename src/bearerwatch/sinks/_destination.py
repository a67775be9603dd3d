"""Where syslog messages go, as a URL says it.

``syslog+udp://host:514``, ``syslog+tcp://host:601``, ``syslog+tls://host:6514``, ``syslog+unix:///dev/log``; behind a
question mark ``facility=local0``, ``enterprise=32473``, ``max_bytes=2048``.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from bearerwatch.formats.syslog import EXAMPLE_PEN, MAX_BYTES, Syslog

__all__ = ["Destination", "destination"]

_PORTS = {"udp": 514, "tcp": 601, "tls": 6514, "unix": 0}
"""RFC 5426 §3.3, RFC 6587 §3.2 (by IANA), RFC 5425 §4.1."""
_MOST = {"udp": MAX_BYTES, "tcp": 8192, "tls": 8192, "unix": MAX_BYTES}
_LARGEST = 65_000


class Destination(NamedTuple):
    """A receiver."""

    transport: str
    """``udp``, ``tcp``, ``tls`` or ``unix``."""
    host: str
    port: int
    path: str
    """Of a Unix socket."""
    encode: Syslog


def destination(url: str) -> Destination:
    """Read *url*.

    Raises:
        ValueError: it is none of those above; the message says what would do, and repeats nothing.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        numbers = {name: int(options[name]) for name in ("enterprise", "max_bytes") if name in options}
    except ValueError:
        raise ValueError("write syslog+tls://host:6514 or syslog+unix:///dev/log, then ?facility=local0") from None
    scheme, _, transport = parts.scheme.partition("+")
    if scheme != "syslog" or transport not in _PORTS:
        raise ValueError("write syslog+udp, syslog+tcp, syslog+tls or syslog+unix, then ://")
    if parts.username or parts.password:
        raise ValueError("syslog knows no user and no password: leave them out")
    if transport == "unix":
        if host or not parts.path.startswith("/"):
            raise ValueError("a Unix socket is named by its whole path: syslog+unix:///dev/log")
    elif not host or parts.path not in ("", "/"):
        raise ValueError(f"name a host and a port: syslog+{transport}://host:{_PORTS[transport]}")
    if set(options) - {"facility", "enterprise", "max_bytes"}:
        raise ValueError("behind the question mark may stand facility, enterprise and max_bytes")
    most = numbers.get("max_bytes", _MOST[transport])
    if most > _LARGEST:
        raise ValueError(f"max_bytes is at most {_LARGEST}, which a datagram can hold")
    facility, enterprise = options.get("facility", "authpriv"), numbers.get("enterprise", EXAMPLE_PEN)
    encode = Syslog(facility=facility, enterprise=enterprise, max_bytes=most)
    return Destination(transport, host, port or _PORTS[transport], parts.path, encode)
