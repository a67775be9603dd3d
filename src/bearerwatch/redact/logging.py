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
from contextlib import suppress
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
_hooked: set[str] = set()
_installed = False
_lock = threading.Lock()


def culprits() -> dict[tuple[str, str, int], int]:
    """How often which code tried to log a token: ``{(logger, file, line): times}``."""
    return dict(_culprits)


def install_logging() -> None:
    """Keep tokens out of everything this process logs, from now on. Calling it again changes nothing.

    Also covers ``warnings``, ``sys.excepthook``, ``sys.unraisablehook`` and ``threading.excepthook``.
    """
    global _installed  # noqa: PLW0603
    with _lock:
        for owner, name, key, ours in _places():
            if key not in _hooked:  # else ours is still there, under what somebody has put around it
                _originals[key] = getattr(owner, name)
                setattr(owner, name, ours)
                _hooked.add(key)
        _installed = True


def uninstall_logging() -> None:
    """Undo :func:`install_logging`. What others have put around ours since is left alone; ours then does nothing."""
    global _installed  # noqa: PLW0603
    with _lock:
        _installed = False
        for owner, name, key, ours in _places():
            if getattr(owner, name) is ours:
                setattr(owner, name, _originals[key])
                _hooked.discard(key)


def _places() -> tuple[tuple[Any, str, str, Callable[..., Any]], ...]:
    return (
        (logging.Handler, "handle", "handle", _handle),
        (logging.Handler, "format", "format", _format),
        (logging.Handler, "handleError", "handleError", _handle_error),
        (warnings, "formatwarning", "formatwarning", _formatwarning),
        (sys, "excepthook", "excepthook", _excepthook),
        (sys, "unraisablehook", "unraisablehook", _unraisablehook),
        (threading, "excepthook", "threadhook", _threadhook),
    )


def _handle(self: logging.Handler, record: logging.LogRecord) -> Any:
    return _originals["handle"](self, _safe(record) if _installed else record)


def _format(self: logging.Handler, record: logging.LogRecord) -> Any:
    text: Any = _originals["format"](self, record)
    if not _installed:
        return text
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
    if record.exc_info:
        changes |= _exception_changes(record)
    for key in ("exc_text", "stack_info"):
        value = getattr(record, key, None)
        if value and (clean := redact_text(value)) != value:
            changes[key] = clean
    if len(record.__dict__) > len(_STANDARD) - 3:
        for key, value in record.__dict__.items():
            if key not in _STANDARD:
                (cleaned,) = redact_value({key: value}).values()
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
        return {} if clean == text else {"msg": _structured(record.msg) or clean}
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - the caller's mistake: logging reports it, from a record made safe
        return _unformattable(record)
    clean = redact_text(text)
    return {} if clean == text else _arguments(record) or {"msg": clean, "args": ()}


def _arguments(record: logging.LogRecord) -> dict[str, Any] | None:
    """The arguments without their tokens, if that is enough: some formatters, such as uvicorn's, take them apart."""
    cleaned = redact_value(record.args)
    if cleaned is record.args or type(cleaned) is not type(record.args):
        return None
    try:
        text = str(record.msg) % cleaned
    except Exception:  # noqa: BLE001 - then the rendered text will do
        return None
    return {"args": cleaned} if redact_text(text) == text else None


def _structured(message: Any) -> Any:
    """A message that is a dict, as structlog's are, without its tokens, if that is enough."""
    if not isinstance(message, dict):
        return None
    cleaned = redact_value(message)
    text = str(cleaned)
    return cleaned if redact_text(text) == text else None


def _exception_changes(record: logging.LogRecord) -> dict[str, Any]:
    """An exception that quotes a token, as redacted text: some handlers render, pickle or mail it by themselves."""
    info = record.exc_info
    if not isinstance(info, tuple) or info[0] is None or record.exc_text:
        return {}
    text = "".join(traceback.format_exception(*info)).rstrip("\n")
    clean = redact_text(text)
    return {} if clean == text else {"exc_text": clean, "exc_info": None}


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
    text: str = _originals["formatwarning"](*args, **kwargs)
    try:
        return redact_text(text) if _installed else text
    except Exception as error:  # noqa: BLE001 - host boundary: a warning never raises because of us
        _guard.swallowed("redaction of a warning", error)
        return f"{PLACEHOLDER}\n"


def _handle_error(self: logging.Handler, record: logging.LogRecord) -> None:
    """``Handler.handleError``, whose traceback may quote what could not be logged."""
    lead = f"--- Logging error ---\nin {record.pathname}:{record.lineno}\n"
    kind, error, trace = sys.exc_info()
    if not logging.raiseExceptions or not _print_redacted(kind, error, trace, lead):
        _originals["handleError"](self, record)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not _print_redacted(kind, error, trace, ""):
        _originals["excepthook"](kind, error, trace)


def _unraisablehook(args: sys.UnraisableHookArgs) -> None:
    lead = f"{args.err_msg or 'Exception ignored in'}: {type(args.object).__name__}\n"
    if not _print_redacted(args.exc_type, args.exc_value, args.exc_traceback, lead):
        _originals["unraisablehook"](args)


def _threadhook(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread is not None else "<unknown>"
    if args.exc_type is SystemExit or not _print_redacted(
        args.exc_type, args.exc_value, args.exc_traceback, f"Exception in thread {name}:\n"
    ):
        _originals["threadhook"](args)


def _print_redacted(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, lead: str
) -> bool:
    """Print the traceback if it holds a token; ``False`` if it holds none and the usual hook may."""
    if not _installed or kind is None or error is None:
        return False
    try:
        text = lead + "".join(traceback.format_exception(kind, error, trace))
        clean = redact_text(text)
        if clean == text:
            return False
    except Exception as failure:  # noqa: BLE001 - host boundary: better no traceback than a token in one
        _guard.swallowed("redaction of a traceback", failure)
        clean = f"{kind.__name__}: {PLACEHOLDER}\n"
    with suppress(OSError, ValueError, AttributeError):  # a closed stderr, or none, is not ours to mend
        sys.stderr.write(clean)
    return True
