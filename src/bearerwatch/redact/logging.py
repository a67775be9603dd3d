"""Redaction for the standard library's logging, at the sink; and the ids of the request, which are put on there.

Installed once for the process, on the two doors every handler goes through: ``Handler.handle`` (what a
handler is given) and ``Handler.format`` (what it writes), also where a handler's class has replaced one of
them. So it covers handlers added later, ``logging.lastResort``, ``QueueHandler`` and the loggers of uvicorn
and gunicorn, which have their own. What asyncio and ``concurrent.futures`` report goes through logging too.
The caller's record, arguments and dicts are never changed: a record that leaks is copied.

What is printed without logging is covered where Python has a hook for it: warnings, uncaught exceptions and
``traceback.print_exc()``. ``faulthandler`` prints names and line numbers alone, so it has nothing to redact.
"""

from __future__ import annotations

import copy
import functools
import io
import logging
import os
import sys
import threading
import traceback
import warnings
import weakref
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.correlate.ids import log_ids as ids_at_hand
from bearerwatch.correlate.logging import LogIds, append_ids, is_usual, log_ids_of, mark
from bearerwatch.redact.culprits import caught
from bearerwatch.redact.engine import PLACEHOLDER, redact_text
from bearerwatch.redact.structure import redact_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = [
    "PLACEHOLDER",
    "culprits",
    "install_logging",
    "keep_exceptions_for",
    "redacted_traceback",
    "uninstall_logging",
    "without_raw_exception",
]

_WRITING = frozenset({"StreamHandler.emit", "FileHandler.emit", "BaseRotatingHandler.emit", "WatchedFileHandler.emit"})
"""What the standard library's handlers write with, and nothing but what ``format`` makes."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_MAX_CULPRITS = 10_000
_culprits: Counter[tuple[str, str, int]] = Counter()
_latest = threading.local()
"""The record that each thread has counted last."""
_MAX_NAMES = 4096
_clean_names: set[tuple[Any, ...]] = set()
"""Names of loggers, threads, processes and tasks that hold no token: most records share theirs."""
_reporting: list[Callable[[logging.Handler], bool]] = []
_originals: dict[str, Any] = {}
_hooked: set[str] = set()
_wrapped: list[tuple[type[logging.Handler], str, Any, Any]] = []
"""Methods of handlers' classes that stood in our way: class, name, theirs, ours."""
_writers: dict[type[logging.Handler], bool] = {}
"""Of each class of handlers whether it only writes."""
_installed = False
"""Whether tokens are redacted."""
_log_ids: LogIds | None = None
"""Whether lines are given the ids of their requests; ``None`` while nobody has said."""
_lock = threading.Lock()


def culprits() -> dict[tuple[str, str, int], int]:
    """How often which code tried to log a token: ``{(logger, file, line): records}``."""
    return dict(_culprits)


def keep_exceptions_for(which: Callable[[logging.Handler], bool]) -> None:
    """Leave exceptions as they are for handlers of which *which* says that they redact what they make of them."""
    if which not in _reporting:
        _reporting.append(which)


def install_logging(*, redact: bool = True, log_ids: LogIds | None = None) -> None:
    """Keep tokens out of everything this process logs, from now on, and say in each line which request it is of.

    Calling it again changes nothing but what is said anew of *log_ids*. Also covers ``warnings``, ``sys.excepthook``,
    ``sys.unraisablehook``, ``threading.excepthook`` and ``traceback.print_exc``. A forked child has it from its parent;
    one that is spawned has to call this itself, for example as the ``initializer`` of its pool.

    Args:
        redact: whether tokens are kept out; without, lines get their ids and nothing else is done to them.
        log_ids: whether every record has :data:`bearerwatch.correlate.LOG_IDS` as attributes, for formats such as
            ``%(request_id)s``; ``"append"`` also writes them behind each line of a request. By default they are
            attributes, unless the environment's ``BEARERWATCH_LOG_IDS`` says otherwise.

    Raises:
        ConfigurationError: ``BEARERWATCH_LOG_IDS`` says neither.
    """
    global _installed, _log_ids  # noqa: PLW0603
    if log_ids is None and _log_ids is None:
        log_ids = log_ids_of(os.environ.get("BEARERWATCH_LOG_IDS") or True)
    with _lock:
        if log_ids is not None:
            _log_ids = log_ids
        for owner, name, key, ours in _places():
            if key not in _hooked:  # else ours is still there, under what somebody has put around it
                _originals[key] = getattr(owner, name)
                setattr(owner, name, ours)
                _hooked.add(key)
        _installed = _installed or redact
    for reference in list(getattr(logging, "_handlerList", ())):  # those made before
        handler = reference()
        if handler is not None:
            _cover(type(handler))


def uninstall_logging() -> None:
    """Undo :func:`install_logging`. What others have put around ours since is left alone; ours then does nothing."""
    global _installed, _log_ids
    with _lock:
        _installed, _log_ids = False, None
        for owner, name, key, ours in _places():
            if getattr(owner, name) is ours:
                setattr(owner, name, _originals[key])
                _hooked.discard(key)
        for owner, name, theirs, ours in _wrapped:
            if owner.__dict__.get(name) is ours:
                setattr(owner, name, theirs)
        _wrapped.clear()


def _places() -> tuple[tuple[Any, str, str, Callable[..., Any]], ...]:
    dispatch = logging.Logger.callHandlers
    theirs = type(dispatch) is not FunctionType or dispatch.__code__.co_filename != logging.__file__
    return (
        # agents (Sentry's, New Relic's) forward records from there; where none does, it would be one check more
        *([(logging.Logger, "callHandlers", "callHandlers", _call_handlers)] if theirs else ()),
        (logging.Handler, "__init__", "init", _init),
        (logging.Handler, "handle", "handle", _handle),
        (logging.Handler, "format", "format", _format),
        (logging.Handler, "handleError", "handleError", _handle_error),
        (warnings, "formatwarning", "formatwarning", _formatwarning),
        (sys, "excepthook", "excepthook", _excepthook),
        (sys, "unraisablehook", "unraisablehook", _unraisablehook),
        (threading, "excepthook", "threadhook", _threadhook),
        (traceback.TracebackException, "print", "print", _print_traceback),
    )


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    _originals["callHandlers"](self, _given(record))


def _init(self: logging.Handler, *args: Any, **kwargs: Any) -> None:
    _originals["init"](self, *args, **kwargs)
    if _installed:
        _cover(type(self))


def _cover(kind: type[logging.Handler]) -> None:
    """Put ours around ``handle`` and ``format`` of a class of handlers that has replaced them."""
    for owner in kind.__mro__:
        if owner is logging.Handler:
            return
        if owner.__module__ == "logging" or not issubclass(owner, logging.Handler):
            continue  # those of the standard library let nothing past
        for name, wrap in (("handle", _wrap_handle), ("format", _wrap_format)):
            with _lock:
                theirs = owner.__dict__.get(name)
                if callable(theirs) and not hasattr(theirs, "__bearerwatch__"):
                    ours = functools.wraps(theirs)(wrap(theirs))
                    ours.__bearerwatch__ = True  # type: ignore[attr-defined]
                    setattr(owner, name, ours)
                    _wrapped.append((owner, name, theirs, ours))


def _wrap_handle(theirs: Any) -> Callable[..., Any]:
    def handle(self: logging.Handler, record: logging.LogRecord) -> Any:
        return theirs(self, _given(record))

    return handle


def _wrap_format(theirs: Any) -> Callable[..., Any]:
    def format_(self: logging.Handler, record: logging.LogRecord) -> Any:
        text = _safe_text(theirs(self, record))
        return append_ids(text, self, record, _safe_text) if _log_ids == "append" and isinstance(text, str) else text

    return format_


def _handle(self: logging.Handler, record: logging.LogRecord) -> Any:
    usual = mark(record) if _log_ids else is_usual(record.__dict__)
    if not _installed or (usual and _writes(self, record)):
        return _originals["handle"](self, record)
    keeps = bool(_reporting and record.exc_info) and any(which(self) for which in _reporting)
    return _originals["handle"](self, _safe(record, usual=usual, keeps_exception=keeps))


def _given(record: logging.LogRecord) -> logging.LogRecord:
    """*record* as whoever replaces one of the doors is given it."""
    usual = mark(record) if _log_ids else is_usual(record.__dict__)
    return _safe(record, usual=usual) if _installed else record


def _format(self: logging.Handler, record: logging.LogRecord) -> Any:
    text = _formatted(self, record)
    return append_ids(text, self, record, _safe_text) if _log_ids == "append" and isinstance(text, str) else text


def _formatted(self: logging.Handler, record: logging.LogRecord) -> Any:
    text = _originals["format"](self, record)
    safe = _safe_text(text)
    if safe is text or safe == text or not _writes(self, record):
        return safe
    if safe is PLACEHOLDER:
        return _safe_text(_originals["format"](self, _safe(record)))
    _count(record)
    caught(record, {"msg": safe})
    record.__dict__.pop("message", None)  # formatting has left it there, for whoever is given the record next
    return safe


def _safe_text(text: Any) -> Any:
    if not _installed:
        return text
    try:
        return redact_text(text) if isinstance(text, str) else text
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("redaction of a log line", error)
        return PLACEHOLDER


def _writes(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Whether all that *handler* does with *record*, a usual one, is to write what :func:`_format` makes of it.

    Then it is enough to redact that. An exception, a message that is no text and what is ``extra`` are looked at before
    they are formatted, for they tell more then; and so is what a filter is shown.
    """
    only = _writers.get(type(handler))
    if only is None:
        only = _writers[type(handler)] = _only_writes(type(handler))
    if not only or handler.filters or record.exc_info is not None:
        return False
    its = handler.__dict__
    return (
        type(record.msg) is str
        and record.exc_text is None
        and record.stack_info is None
        and "emit" not in its
        and "format" not in its
    )


def _only_writes(kind: type[logging.Handler]) -> bool:
    emit = getattr(kind.emit, "__qualname__", "")
    return (
        kind.emit.__module__ in ("logging", "logging.handlers")
        and emit in _WRITING
        and kind.format is _format
        and kind.handle is _handle
        and kind.filter is logging.Filterer.filter
    )


def _safe(record: logging.LogRecord, *, usual: bool = False, keeps_exception: bool = False) -> logging.LogRecord:
    """*record* itself when it holds no token, else a redacted copy; *usual* says that nothing was added to it."""
    try:
        return _redacted(record, usual=usual, keeps_exception=keeps_exception)
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("redaction of a log record", error)
        bare = copy.copy(record)
        bare.msg, bare.args = PLACEHOLDER, ()
        bare.exc_info = bare.exc_text = bare.stack_info = None
        for key in record.__dict__.keys() - _STANDARD:
            del bare.__dict__[key]
        if _log_ids:
            bare.__dict__.update(ids_at_hand())
        return bare


def _redacted(record: logging.LogRecord, *, usual: bool, keeps_exception: bool) -> logging.LogRecord:
    changes = _message_changes(record)
    for key in ("exc_text", "stack_info"):
        value = getattr(record, key, None)
        if value and (clean := redact_text(value)) != value:
            changes[key] = clean
    if record.exc_info and not keeps_exception:
        changes = _exception_changes(record) | changes
    names = (record.name, record.threadName, record.processName, record.__dict__.get("taskName"))
    if names not in _clean_names:
        changes |= _name_changes(names)
    if not usual:
        ids = ids_at_hand() if _log_ids else {}
        for key, value in record.__dict__.items():
            if key not in _STANDARD and ids.get(key) != value:
                (cleaned,) = redact_value({key: value}).values()
                if cleaned is not value and cleaned != value:
                    changes[key] = cleaned
    if not changes:
        return record
    if "message" in record.__dict__ and ("msg" in changes or "args" in changes):
        changes["message"] = redact_text(str(record.__dict__["message"]))
    _count(record)
    caught(record, changes)
    safe = copy.copy(record)
    safe.__dict__.update(changes)
    if type(record) is not logging.LogRecord and "msg" in changes and not safe.args and _misread(safe):
        safe.__class__ = logging.LogRecord
    return safe


def _count(record: logging.LogRecord) -> None:
    """Count *record* against the code that made it, once, however many handlers are given it."""
    counted = getattr(_latest, "record", None)
    if counted is None or counted() is not record:
        _latest.record = weakref.ref(record)
        place = (record.name, record.pathname, record.lineno)
        if place in _culprits or len(_culprits) < _MAX_CULPRITS:
            _culprits[place] += 1


def _misread(record: logging.LogRecord) -> bool:
    """Whether a record of the application's own class cannot say a finished message: some format with braces."""
    try:
        return record.getMessage() != str(record.msg)
    except Exception:  # noqa: BLE001 - then it cannot
        return True


def _name_changes(names: tuple[Any, ...]) -> dict[str, Any]:
    keys = ("name", "threadName", "processName", "taskName")
    changes = {
        key: clean
        for key, value in zip(keys, names, strict=True)
        if isinstance(value, str) and (clean := redact_text(value)) != value
    }
    if not changes:
        if len(_clean_names) >= _MAX_NAMES:  # tasks have a name each
            _clean_names.clear()
        _clean_names.add(names)
    return changes


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
    """A message that is a dict, as structlog's are, without its tokens; it stays one, for its formatter needs one."""
    if not isinstance(message, dict):
        return None
    cleaned = redact_value(without_raw_exception(message))
    if _shown_clean(cleaned):
        return cleaned
    cleaned = {key: value if _shown_clean(value) else redact_text(str(value)) for key, value in cleaned.items()}
    return cleaned if _shown_clean(cleaned) else {"event": redact_text(str(cleaned))}


def _shown_clean(value: Any) -> bool:
    text = str(value)
    return redact_text(text) == text


def without_raw_exception(event: Any) -> Any:
    """Structlog's event without ``exc_info`` if that quotes a token: its redacted text is the ``exception`` then."""
    info = event.get("exc_info")
    if not info:
        return event
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    text = redacted_traceback(info if isinstance(info, tuple) else sys.exc_info())
    if text is None:
        return event
    return {key: value for key, value in event.items() if key != "exc_info"} | {"exception": text}


def redacted_traceback(info: Any) -> str | None:
    """The text of an exception, or ``None`` if it holds no token and can be shown as it is."""
    if not isinstance(info, tuple) or info[0] is None:
        return None
    text = "".join(traceback.format_exception(*info)).rstrip("\n")
    clean = redact_text(text)
    return None if clean == text else clean


def _exception_changes(record: logging.LogRecord) -> dict[str, Any]:
    """An exception that quotes a token, as redacted text: some handlers render, pickle or mail it by themselves."""
    clean = redacted_traceback(record.exc_info)
    return {} if clean is None else {"exc_text": record.exc_text or clean, "exc_info": None}


def _unformattable(record: logging.LogRecord) -> dict[str, Any]:
    """The parts of a record whose message and arguments do not fit, each redacted on its own.

    ``Handler.handleError`` prints them raw.
    """
    args = record.args
    cleaned: Any
    if isinstance(args, tuple):
        cleaned = tuple(_plain(value) for value in args)
    elif isinstance(args, Mapping):
        cleaned = {key: _plain(value) for key, value in redact_value(dict(args)).items()}
    else:
        cleaned = redact_value(args)
    return {"msg": redact_text(str(record.msg)), "args": cleaned}


def _plain(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    if isinstance(value, str | bytes):
        return redact_value(value)
    try:
        return redact_text(repr(value))
    except Exception:  # noqa: BLE001 - the caller's object, which nobody could have shown
        return PLACEHOLDER


def _formatwarning(*args: Any, **kwargs: Any) -> str:
    text: str = _originals["formatwarning"](*args, **kwargs)
    try:
        return redact_text(text) if _installed else text
    except Exception as error:  # noqa: BLE001 - host boundary: a warning never raises because of us
        _guard.swallowed("redaction of a warning", error)
        return f"{PLACEHOLDER}\n"


def _handle_error(self: logging.Handler, record: logging.LogRecord) -> None:
    """``Handler.handleError``, whose traceback may quote what could not be logged."""
    if _installed:
        record = _safe(record)
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


def _print_traceback(self: traceback.TracebackException, *, file: Any = None, **kwargs: Any) -> None:
    """``traceback.print_exc`` and its like, of which the servers of the standard library make use."""
    if _installed:
        try:
            kept = io.StringIO()
            _originals["print"](self, file=kept, **kwargs)
            text = kept.getvalue()
            clean = redact_text(text)
        except Exception as error:  # noqa: BLE001 - host boundary: better no traceback than a token in one
            _guard.swallowed("redaction of a traceback", error)
            text, clean = "", f"{PLACEHOLDER}\n"
        if clean != text:
            print(clean, end="", file=sys.stderr if file is None else file)
            return
    _originals["print"](self, file=file, **kwargs)


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
