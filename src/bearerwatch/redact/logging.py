"""Redaction for the standard library's logging, at the sink.

Installed once for the process, on the two doors every handler goes through: ``Handler.handle`` (what a
handler is given) and ``Handler.format`` (what it writes). So it covers handlers added later,
``logging.lastResort``, ``QueueHandler`` and the loggers of uvicorn and gunicorn, which have their own.
The caller's record, arguments and dicts are never changed: a record that leaks is copied.
"""

from __future__ import annotations

import copy
import logging
import sys
import threading
import traceback
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.redact.engine import redact_text, redact_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["PLACEHOLDER", "culprits", "install_logging", "uninstall_logging"]

PLACEHOLDER = "[redaction-error]"
"""What is written when redaction itself fails: it fails closed."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_MAX_CULPRITS = 10_000
_culprits: Counter[tuple[str, str, int]] = Counter()
_originals: dict[str, Any] = {}
_lock = threading.Lock()


def culprits() -> dict[tuple[str, str, int], int]:
    """How often which code tried to log a token: ``{(logger, file, line): times}``."""
    return dict(_culprits)


def install_logging() -> None:
    """Keep tokens out of everything this process logs, from now on. Calling it again changes nothing.

    Also covers ``warnings``, ``sys.excepthook`` and ``threading.excepthook``.
    """
    with _lock:
        if _originals:
            return
        _originals.update(
            handle=logging.Handler.handle,
            format=logging.Handler.format,
            formatwarning=warnings.formatwarning,
            excepthook=sys.excepthook,
            threadhook=threading.excepthook,
        )
        logging.Handler.handle = _handle  # type: ignore[method-assign]
        logging.Handler.format = _format  # type: ignore[method-assign]
        warnings.formatwarning = _formatwarning
        sys.excepthook = _excepthook
        threading.excepthook = _threadhook


def uninstall_logging() -> None:
    """Undo :func:`install_logging`; what others have put in place since is left alone."""
    with _lock:
        if not _originals:
            return
        places: tuple[tuple[Any, str, str, Callable[..., Any]], ...] = (
            (logging.Handler, "handle", "handle", _handle),
            (logging.Handler, "format", "format", _format),
            (warnings, "formatwarning", "formatwarning", _formatwarning),
            (sys, "excepthook", "excepthook", _excepthook),
            (threading, "excepthook", "threadhook", _threadhook),
        )
        for owner, name, key, ours in places:
            if getattr(owner, name) is ours:
                setattr(owner, name, _originals[key])
        _originals.clear()


def _handle(self: logging.Handler, record: logging.LogRecord) -> Any:
    original = _originals.get("handle", logging.Handler.handle)
    return original(self, _safe(record))


def _format(self: logging.Handler, record: logging.LogRecord) -> str:
    original = _originals.get("format", logging.Handler.format)
    text = original(self, record)
    try:
        return redact_text(text) if isinstance(text, str) else text
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("redaction of a log line", error)
        return PLACEHOLDER


def _safe(record: logging.LogRecord) -> logging.LogRecord:
    """*record* itself when it holds no token, else a redacted copy."""
    try:
        return _redacted(record)
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("redaction of a log record", error)
        bare = copy.copy(record)
        bare.msg, bare.args = PLACEHOLDER, ()
        bare.exc_info = bare.exc_text = bare.stack_info = None
        for key in record.__dict__.keys() - _STANDARD:
            del bare.__dict__[key]
        return bare


def _redacted(record: logging.LogRecord) -> logging.LogRecord:
    changes = _message_changes(record)
    for key in ("exc_text", "stack_info"):
        value = getattr(record, key, None)
        if value and (clean := redact_text(value)) != value:
            changes[key] = clean
    if len(record.__dict__) > len(_STANDARD) - 3:
        for key, value in record.__dict__.items():
            if key not in _STANDARD:
                cleaned = redact_value({key: value})[key]
                if cleaned is not value and cleaned != value:
                    changes[key] = cleaned
    if not changes:
        return record
    place = (record.name, record.pathname, record.lineno)
    if place in _culprits or len(_culprits) < _MAX_CULPRITS:
        _culprits[place] += 1
    safe = copy.copy(record)
    safe.__dict__.update(changes)
    return safe


def _message_changes(record: logging.LogRecord) -> dict[str, Any]:
    if not record.args:
        text = record.msg if type(record.msg) is str else str(record.msg)
        clean = redact_text(text)
        return {} if clean == text else {"msg": clean}
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - the caller's mistake: logging reports it, from a record made safe
        return _unformattable(record)
    clean = redact_text(text)
    return {} if clean == text else {"msg": clean, "args": ()}


def _unformattable(record: logging.LogRecord) -> dict[str, Any]:
    """The parts of a record whose message and arguments do not fit, each redacted on its own.

    ``Handler.handleError`` prints them raw.
    """
    args = record.args
    cleaned: Any = tuple(_plain(value) for value in args) if isinstance(args, tuple) else redact_value(args)
    return {"msg": redact_text(str(record.msg)), "args": cleaned}


def _plain(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    return redact_value(value) if isinstance(value, str | bytes) else redact_text(repr(value))


def _formatwarning(*args: Any, **kwargs: Any) -> str:
    text: str = _originals.get("formatwarning", warnings.formatwarning)(*args, **kwargs)
    return redact_text(text)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    original = _originals.get("excepthook", sys.__excepthook__)
    if not _print_redacted(kind, error, trace, ""):
        original(kind, error, trace)


def _threadhook(args: threading.ExceptHookArgs) -> None:
    original = _originals.get("threadhook", threading.__excepthook__)
    name = args.thread.name if args.thread is not None else "<unknown>"
    if args.exc_value is None or not _print_redacted(
        args.exc_type, args.exc_value, args.exc_traceback, f"Exception in thread {redact_text(name)}:\n"
    ):
        original(args)


def _print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None, lead: str) -> bool:
    """Print the traceback if it holds a token; ``False`` if it holds none and the usual hook may."""
    try:
        text = "".join(traceback.format_exception(kind, error, trace))
        clean = redact_text(text)
        if clean == text:
            return False
    except Exception as failure:  # noqa: BLE001 - host boundary: better no traceback than a token in one
        _guard.swallowed("redaction of a traceback", failure)
        clean = f"{kind.__name__}: {PLACEHOLDER}\n"
    if sys.stderr is not None:
        sys.stderr.write(lead + clean)
    return True
