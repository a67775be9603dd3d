r"""gunicorn: its default ``--access-logformat``, and any other.

It escapes a quote and nothing else, so a line whose client's text ends in a backslash is read up to that text.
https://docs.gunicorn.org/en/stable/settings.html#access-log-format
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import TYPE_CHECKING

from bearerwatch.ingest.access import _escapes, _values
from bearerwatch.ingest.access._fields import Field, header
from bearerwatch.ingest.access._template import KEPT, Part, Template

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine

__all__ = ["EXAMPLE", "open_format"]

EXAMPLE = 'gunicorn:%(h)s %(t)s "%(r)s" %(s)s %(D)s %({x-request-id}o)s "%(a)s"'
"""A layout for ``--help`` and for errors."""

_DEFAULT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
_ATOM = re.compile(r"%\((\{[^}]+\}[ioe]|[a-zA-Z])\)s|%%")
_ATOMS = {
    "h": Field("peer", _values.text),
    "r": Field("request", _values.text, free=True),
    "m": Field("method", _values.text, free=True),
    "U": Field("path", _values.text, free=True),
    "q": Field("query", _values.text, free=True),
    "s": Field("status", _values.status),
    "a": Field("user_agent", _values.text, free=True),
    "D": Field("duration_us", _values.number(1_000)),
    "L": Field("duration_us", _values.number(1_000_000_000), rank=1),
    "M": Field("duration_us", _values.number(1_000_000), rank=2),
    "T": Field("duration_us", _values.number(1_000_000_000), rank=3),
}


def open_format(layout: str, zone: tzinfo) -> ReadLine:  # noqa: ARG001 - its time has its zone
    """What reads gunicorn's lines: *layout* is the string given as ``--access-logformat``."""
    layout = layout or _DEFAULT
    parts: list[Part] = []
    done = 0
    for match in _ATOM.finditer(layout):
        parts.append(layout[done : match.start()])
        done = match.end()
        atom = match[1]
        if atom is None:
            parts.append("%")
        elif atom == "t":
            parts += ["[", (match[0], Field("ended", _values.clf)), "]"]
        elif atom.startswith("{"):
            name, kind = atom[1:-2], atom[-1]
            if kind == "e" and name.upper().startswith("HTTP_"):
                name, kind = name[5:].replace("_", "-"), "i"
            parts.append((match[0], None if kind == "e" else header(name, answered=kind == "o")))
        else:
            parts.append((match[0], _ATOMS.get(atom)))
    parts.append(layout[done:])
    return Template(parts, unescape=_escapes.gunicorn, quoted=KEPT, hostile=True, server="gunicorn")
