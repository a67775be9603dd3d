r"""Apache httpd: ``combined``, ``common``, ``vhost_combined``, and any ``LogFormat``.

https://httpd.apache.org/docs/2.4/mod/mod_log_config.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import _escapes, _values
from bearerwatch.ingest.access._fields import Field, header
from bearerwatch.ingest.access._template import ESCAPED, Part, Template

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine

__all__ = ["EXAMPLE", "open_format"]

EXAMPLE = r'apache:%h %l %u %t "%r" %>s %b %D %{X-Request-ID}o'
"""A layout for ``--help`` and for errors."""

_COMMON = '%h %l %u %t "%r" %>s %b'
_NICKNAMES = {
    "common": _COMMON,
    "combined": f'{_COMMON} "%{{Referer}}i" "%{{User-Agent}}i"',
    "vhost_combined": f'%v:%p {_COMMON} "%{{Referer}}i" "%{{User-Agent}}i"',
}
_DIRECTIVE = re.compile(r"%(?:!?\d{3}(?:,\d{3})*)?([<>]?)(?:\{([^}]*)\})?([<>]?)(\^[A-Z]{2}|[A-Za-z%])")
_seconds, _millis, _micros = _values.number(1_000_000_000), _values.number(1_000_000), _values.number(1_000)
_UNITS = {"ms": _millis, "us": _micros, "s": _seconds}
_EPOCHS = {"sec": 1, "msec": 1_000, "usec": 1_000_000}


def open_format(layout: str, zone: tzinfo) -> ReadLine:
    """What reads Apache's lines: *layout* is a ``LogFormat``'s string, or one of the nicknames; else ``combined``."""
    if not layout:
        combined, common = (_template(_NICKNAMES[name], zone, tail=True) for name in ("combined", "common"))

        def read(line: str) -> Any:
            try:
                return combined(line)
            except ValueError:
                return common(line)

        return read
    if len(layout) > 1 and layout[0] == layout[-1] == '"':  # copied from the file with its quotes
        layout = layout[1:-1]
    return _template(_NICKNAMES.get(layout, layout.replace('\\"', '"')), zone, tail=False)


def _template(layout: str, zone: tzinfo, *, tail: bool) -> Template:
    parts: list[Part] = []
    done = 0
    real = "%{c}a" in layout
    for match in _DIRECTIVE.finditer(layout):
        parts.append(layout[done : match.start()])
        done = match.end()
        argument, letter = match[2], match[4]
        if letter == "%":
            parts.append("%")
        elif letter == "t" and argument is None:
            parts += ["[", (match[0], Field("started", _values.clf, rank=2)), "]"]
        else:
            parts.append((match[0], _field(argument, letter, zone, real=real)))
    parts.append(layout[done:])
    return Template(parts, unescape=_escapes.apache, quoted=ESCAPED, tail=tail, server="apache")


def _field(argument: str | None, letter: str, zone: tzinfo, *, real: bool) -> Field | None:
    if letter == "a":  # mod_remoteip puts the caller in place of the peer, and leaves that to %{c}a
        return Field("peer" if argument == "c" or not real else "client", _values.text)
    if letter in "io" and argument is not None:
        return header(argument, answered=letter == "o")
    if letter == "t":
        return _time(argument or "", zone)
    if letter == "T":
        return Field("duration_us", _UNITS.get(argument or "s", _seconds), rank=_UNITS_RANK.get(argument or "s", 2))
    if letter == "e" and argument == "UNIQUE_ID":
        return Field("request_id", _values.text, rank=5)
    return _DIRECTIVES.get(letter)


def _time(argument: str, zone: tzinfo) -> Field | None:
    name, rank = "started", 1
    for prefix, meant in (("begin:", "started"), ("end:", "ended")):
        if argument.startswith(prefix):
            argument, name = argument.removeprefix(prefix), meant
    read: Callable[[Any], Any] | None
    if argument in _EPOCHS:
        read, rank = _values.epoch(_EPOCHS[argument]), 1 if argument == "sec" else 0
    elif argument.endswith("_frac"):
        return None
    else:
        read = _values.strftime(argument, zone)
    if read is None:
        raise ConfigurationError(
            "the apache layout writes a time that cannot be read back: use %t, or %{usec}t beside it"
        )
    return Field(name, read, rank=rank)


_UNITS_RANK = {"us": 0, "ms": 1, "s": 2}
_DIRECTIVES = {
    "h": Field("peer", _values.text, rank=2),
    "r": Field("request", _values.text, free=True),
    "m": Field("method", _values.text, free=True),
    "U": Field("path", _values.text, free=True),
    "q": Field("query", lambda value: _values.text(value.removeprefix("?")), free=True),
    "s": Field("status", _values.status),
    "D": Field("duration_us", _micros),
}
