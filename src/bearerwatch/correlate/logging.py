"""Ids for the standard library's logging: attributes of each record, a filter, a suffix, and lines of JSON.

:func:`~bearerwatch.redact.logging.install_logging` has every record marked as the first handler is given it, by the
thread and in the context that logged it; so what a ``QueueListener`` writes later has the ids of the request, and not
those of the listener. Not by a record factory: ``extra={"request_id": ...}`` would raise a ``KeyError`` then.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from bearerwatch import _guard
from bearerwatch.context import lately
from bearerwatch.correlate.ids import LOG_IDS, NOBODYS, UNKNOWN, ids_of, log_ids
from bearerwatch.errors import ConfigurationError

__all__ = ["AddIds", "JsonFormatter", "LogIds", "append_ids", "is_usual", "log_ids_of", "mark"]

LogIds = bool | Literal["append"]
"""Whether lines are given ids: attributes of their records, or those and a suffix of the written line."""
_USUAL_LENGTH = len(logging.makeLogRecord({}).__dict__)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_FIELDS = frozenset({"timestamp", "level", "logger", "message", "exception", "stack", *LOG_IDS})
_EXACT = 1 << 63
"""Integers from here on may have more digits than Python shows."""
_SERVERS = frozenset({"uvicorn.access", "uvicorn.error", "granian.access"})
_GUNICORN = "gunicorn.access"
_AFTERWARDS = _SERVERS | {_GUNICORN}
"""Loggers that are written to once a request is over."""
_ATOM = "{bearerwatch.exchange}e"
"""What gunicorn calls the exchange that an integration has left in the environ, among the atoms of its access log."""


def mark(record: logging.LogRecord) -> bool:
    """Put the ids of the request at hand on *record*, where it has none by those names.

    Returns:
        Whether it has nothing besides them that a handler was not bound to find: no ``extra`` of the caller's.
    """
    held = record.__dict__
    try:
        ids = log_ids()
        if ids is NOBODYS and (record.name in _AFTERWARDS or "request" in held):
            ids = _answered(record) or ids
        if len(held) <= _USUAL_LENGTH:
            held.update(ids)
            return True
        if ids.items() <= held.items():  # by the handler before
            return is_usual(held, len(ids))
        for name, value in ids.items():
            held.setdefault(name, value)
        return ids.items() <= held.items() and is_usual(held, len(ids))
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("ids of a log record", error)
        return False


def is_usual(held: Mapping[str, Any], known: int = 0) -> bool:
    """Whether a record's attributes are those it was made with, *known* others, and what formatting leaves behind."""
    size = len(held) - known
    return size <= _USUAL_LENGTH or size <= _USUAL_LENGTH + ("message" in held) + ("asctime" in held)


def _answered(record: logging.LogRecord) -> Mapping[str, str] | None:
    """The ids of the request that a line is about which is written when that is over.

    Servers over ASGI have a task for each request, which knows what it has served lately; gunicorn shows what the
    environ holds, and Django the request.
    """
    context = None
    if record.name in _SERVERS:
        context = lately.get()
    elif record.name == _GUNICORN:
        atoms: Any = record.args
        exchange = atoms.get(_ATOM) if isinstance(atoms, dict) else None
        context = getattr(exchange, "context", None)
    else:
        environ = getattr(record.__dict__["request"], "META", None)
        if isinstance(environ, dict):
            context = getattr(environ.get("bearerwatch.exchange"), "context", None)
    return None if context is None else ids_of(context)


def log_ids_of(value: object) -> LogIds:
    """What a setting says of ids in log lines.

    Raises:
        ConfigurationError: it is none of ``true``, ``false`` and ``append``.
    """
    word = str(value).lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    if word == "append":
        return "append"
    raise ConfigurationError("log_ids (BEARERWATCH_LOG_IDS): say true, false or append")


class AddIds(logging.Filter):
    """Puts the ids of the request at hand on each record, where redaction does not: in a ``dictConfig`` of its own.

    ``"filters": {"ids": {"()": "bearerwatch.correlate.logging.AddIds"}}``, on the handlers whose format names ids.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark *record*, and let it pass."""
        mark(record)
        return True


def append_ids(text: str, handler: logging.Handler, record: logging.LogRecord, clean: Callable[[str], str]) -> str:
    """*text*, as *handler* is about to write it, with the known ids of *record* at the end of its first line.

    A line that names the request already, or is JSON, is left as it is::

        INFO shop: order placed request_id=0198… trace_id=4bf9… token_id=k1a2b3c4d:9f86…

    Args:
        text: what the handler's formatter has made.
        handler: who writes it.
        record: what it is made of.
        clean: takes tokens out of what is added: the caller may have called one an id.
    """
    held = record.__dict__
    request_id = held.get("request_id", UNKNOWN)
    if hasattr(handler, "enqueue"):  # it formats what it hands on to other handlers: those append
        return text
    if request_id == UNKNOWN or str(request_id) in text or (text.startswith("{") and text.rstrip().endswith("}")):
        return text
    known = "".join(
        f" {name}={value}"
        for name in LOG_IDS
        if type(value := held.get(name)) is str and value != UNKNOWN and value.isprintable()
    )
    line, newline, rest = text.partition("\n")
    return f"{line}{clean(known)}{newline}{rest}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line (NDJSON, UTF-8), with the ids that are known and the ``extra`` of the caller.

    ``timestamp`` (RFC 3339, UTC, microseconds), ``level``, ``logger``, ``message``, the ids under their names,
    ``exception`` and ``stack`` where there are; then whatever was ``extra``, under ``extra_<name>`` if the name is
    taken. What JSON has no form for is shown as text.

    Args:
        fields: what every line is to have besides, such as ``{"service": "shop"}``.
    """

    def __init__(self, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._fields = dict(fields or {})
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def format(self, record: logging.LogRecord) -> str:
        """*record* as a line, without its end."""
        held, ids = record.__dict__, log_ids()
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in LOG_IDS:
            value = held.get(name, ids[name])
            if value != UNKNOWN:
                line[name] = value
        line.update(self._fields)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        for name, value in held.items():
            if name not in _STANDARD and name not in LOG_IDS:
                line[f"extra_{name}" if name in _FIELDS or name in line else name] = value
        return self._written(line)

    def _written(self, line: dict[str, Any]) -> str:
        try:
            return self._encode(line).decode()
        except Exception:  # noqa: BLE001 - the caller's: odd keys, a ring, half a surrogate, what cannot be shown
            return self._encode({name: _text(value) for name, value in line.items()}).decode()


def _text(value: Any) -> Any:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _EXACT):
        return value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    try:
        return str(value).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - the caller's object, which nobody could have shown
        return f"<{type(value).__name__}>"
