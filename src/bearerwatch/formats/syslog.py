r"""Syslog, RFC 5424: the fields are structured data, the message is one sentence for people.

``<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [bearerwatch@PEN …][opentelemetry …] BOM MSG``. A record is one line
of bounded size whatever a client sent: control characters are written as ``\uXXXX``, and what does not fit is cut or
left out, which ``truncated="1"`` says.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from bearerwatch.event import FAILURES, AuthEvent, Kind, Outcome
from bearerwatch.formats._told import instant, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXAMPLE_PEN", "FACILITIES", "MAPPING", "MAX_BYTES", "Syslog", "encode", "frame"]

FACILITIES: Mapping[str, int] = {
    "user": 1,
    "daemon": 3,
    "auth": 4,
    "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""Facilities by name (RFC 5424 §6.2.1)."""
MAX_BYTES = 2048
"""What a receiver should take at least, by RFC 5424 §6.1; one message fits a datagram."""
EXAMPLE_PEN = 32473
"""The enterprise number for examples (RFC 5612)."""

_TRACE = ("trace_id", "span_id")
_OTHERWISE = ("kind", "ts", "outcome", "count", "verified")
# What is needed most stands first: what does not fit is left out from the end.
_FIRST = (
    "event_id",
    "reason",
    "status",
    "token_id",
    "client_ip",
    "service",
    "instance",
    "method",
    "request_id",
    "detail",
    "route",
    "path",
    "subject_id",
    "presented_id",
    "duration_us",
)
_PARAMS = _FIRST + tuple(
    name for name in AuthEvent.__struct_fields__ if name not in _FIRST and name not in _TRACE and name not in _OTHERWISE
)
MAPPING: Mapping[str, str] = {
    "kind": "MSGID",
    "ts": "TIMESTAMP",
    **{name: f"bearerwatch@PEN {name}" for name in ("outcome", "count", "verified", *_PARAMS)},
    **{name: f"opentelemetry {name}" for name in _TRACE},
}
"""Where each field of an event stands. MSGID is the outcome, if there is one."""

_BEGINNINGS = tuple(f' {name}="' for name in _PARAMS)
_values = attrgetter(*_PARAMS)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HARMLESS = bytes(set(range(0x20, 0x7F)) - set(b'"\\]'))
_QUOTED = re.compile(r'["\\\]]')
_NOT_NAME = re.compile(r"[^\x21-\x7e]")
_PROCESS = re.compile(r"(?P<host>.{1,255})-(?P<process>[0-9]{1,10})", re.ASCII)
_BOM = "\ufeff"
_SHORT = 64
"""Characters that are left of a long value where all of them together do not fit."""
_LEAST = 480


class Syslog:
    """Writes events as messages of RFC 5424.

    Args:
        facility: a name of :data:`FACILITIES`.
        enterprise: private enterprise number in the name of the structured data (RFC 5424 §6.3.2).
        max_bytes: of one message at most; 480 or more.

    Raises:
        ValueError: one of them is out of its range; the message says what would do.
    """

    def __init__(
        self, *, facility: str = "authpriv", enterprise: int = EXAMPLE_PEN, max_bytes: int = MAX_BYTES
    ) -> None:
        if facility not in FACILITIES:
            raise ValueError(f"a facility is one of {', '.join(FACILITIES)}")
        if not 0 < enterprise < 1 << 32:
            raise ValueError("an enterprise number is one of IANA's, such as 32473")
        if max_bytes < _LEAST:
            raise ValueError(f"a message needs {_LEAST} bytes or more (RFC 5424 §6.1)")
        self._base = FACILITIES[facility] * 8
        self._open = f"[bearerwatch@{enterprise}"
        self._max_bytes = max_bytes

    def __call__(self, event: AuthEvent) -> bytes:
        """*event* as one message in UTF-8, without framing."""
        head, trace, text = self._head(event), _trace(event), summary(event)
        values = _values(event)
        params = [f'{begin}{value}"' for begin, value in zip(_BEGINNINGS, values, strict=True) if value is not None]
        if not _plain("".join(params), quotes=2 * len(params)):
            known = [pair for pair in zip(_BEGINNINGS, values, strict=True) if pair[1] is not None]
            params = [f'{begin}{_escaped(str(value))}"' for begin, value in known]
        if event.outcome is not None:
            params.insert(1, ' outcome="' + event.outcome + '"')
        if event.verified:
            params.insert(0, ' verified="true"')
        if event.count != 1:
            params.insert(0, f' count="{event.count}"')
        if not text.isprintable():
            text = _CONTROL.sub(_spelled, text)
        message = f"{head}{self._open}{''.join(params)}]{trace} {_BOM}{text}".encode("utf-8", "replace")
        return message if len(message) <= self._max_bytes else self._fitted(head, params, trace, text)

    def _head(self, event: AuthEvent) -> str:
        if event.outcome == Outcome.ERROR:
            severity = 3
        else:
            severity = 4 if event.outcome in FAILURES or event.kind == Kind.LEAK else 6
        origin = _origin(event.instance or "-", event.service or "bearerwatch")
        return f"<{self._base + severity}>1 {instant(event)} {origin} " + (event.outcome or event.kind) + " "

    def _fitted(self, head: str, params: list[str], trace: str, text: str) -> bytes:
        """As much of it as there is room for: long values cut, then the message left out, then the last values."""
        short = [_cut(param) for param in params]
        kept: list[str] = []
        tail = ""
        for tail in (f"{trace} {_BOM}{text[:_SHORT]}", trace, ""):
            kept = []
            room = self._max_bytes - len(f'{head}{self._open} truncated="1"]{tail}'.encode("utf-8", "replace"))
            for param in short:
                room -= len(param.encode("utf-8", "replace"))
                if room < 0:
                    break
                kept.append(param)
            if room >= 0:
                break
        return f'{head}{self._open}{"".join(kept)} truncated="1"]{tail}'.encode("utf-8", "replace")


def frame(message: bytes) -> bytes:
    """*message* with its length in front, for a stream (octet counting, RFC 6587 §3.4.1 and RFC 5425 §4.3)."""
    return b"%d %b" % (len(message), message)


def _trace(event: AuthEvent) -> str:
    # https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/#syslog-rfc5424
    if event.trace_id is None and event.span_id is None:
        return ""
    told = [
        f' {name}="{_escaped(value[:_SHORT])}"'
        for name, value in (("trace_id", event.trace_id), ("span_id", event.span_id))
        if value is not None
    ]
    return f"[opentelemetry{''.join(told)}]"


def _escaped(value: str) -> str:
    """*value* as a PARAM-VALUE (RFC 5424 §6.3.3), with control characters spelled out: many receivers split at them."""
    if value.isalnum():
        return value
    return _QUOTED.sub(r"\\\g<0>", _CONTROL.sub(_spelled, value))


def _spelled(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _cut(param: str) -> str:
    """An escaped *param* shortened, never within an escape."""
    if len(param) <= _SHORT:
        return param
    short = param[:_SHORT]
    slashes = len(short) - len(short.rstrip("\\"))
    return (short[:-1] if slashes % 2 else short) + '"'


def _plain(text: str, *, quotes: int) -> bool:
    """Whether there is nothing to escape in the parameters *text*: told for all of them at once, as is quickest."""
    return text.isascii() and text.encode().translate(None, _HARMLESS) == b'"' * quotes


@lru_cache(maxsize=1024)
def _origin(instance: str, service: str) -> str:
    """HOSTNAME, APP-NAME and PROCID: an instance is named after its host and its process."""
    process = "-"
    if found := _PROCESS.fullmatch(instance):
        instance, process = found["host"], found["process"]
    return f"{_name(instance, 255)} {_name(service, 48)} {process}"


def _name(text: str, longest: int) -> str:
    return _NOT_NAME.sub("?", text[:longest]) or "-"


_default = Syslog()


def encode(event: AuthEvent) -> bytes:
    """*event* as one message, of facility ``authpriv`` and at most :data:`MAX_BYTES` long, without framing."""
    return _default(event)
