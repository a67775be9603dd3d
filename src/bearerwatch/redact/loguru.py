"""Redaction and ids for loguru, which formats inside its handlers: after every patcher, with the values of variables.

Its public hook, the patcher, sees a record before its exception is rendered, and ``diagnose=True`` prints what the
variables of a traceback hold. So this goes to where a handler is given a record, to the message it hands to its
sink, and to what it prints when a sink fails. https://loguru.readthedocs.io/en/stable/api/logger.html
"""

from __future__ import annotations

import copy
import os
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any, Self, cast

from bearerwatch import _guard
from bearerwatch.correlate.ids import log_ids as ids_at_hand
from bearerwatch.correlate.logging import log_ids_of
from bearerwatch.errors import DidNotEnable
from bearerwatch.redact.engine import redact_text
from bearerwatch.redact.logging import PLACEHOLDER, redacted_traceback
from bearerwatch.redact.structure import redact_value

try:
    from loguru import _error_interceptor, _handler
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("loguru is not installed, or is older than 0.5") from None

__all__ = ["install_loguru", "uninstall_loguru"]

_handlers: Any = _handler
_interceptor: Any = _error_interceptor.ErrorInterceptor
_Message: Any = _handlers.Message
_emit: Any = _handlers.Handler.emit
_print: Any = _interceptor.print
_lock = threading.Lock()
_installed = False
_log_ids = False


class Message(_Message):  # type: ignore[misc]
    """What a sink is given: text without tokens, and a record without an exception that quotes one."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Self:
        return cast("Self", super().__new__(cls, _safe_text(str(text))))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "record":
            value = _without_raw_exception(value)
        super().__setattr__(name, value)


def install_loguru(*, log_ids: bool | None = None) -> None:
    """Keep tokens out of what loguru writes, in this process: every handler, added before or after.

    Message, ``extra``, exception (also with ``diagnose``), serialized records and the record that a sink is given.
    Calling it again changes nothing but *log_ids*. A child process that is spawned has to call it for itself.

    Args:
        log_ids: whether ``extra`` has :data:`bearerwatch.correlate.LOG_IDS` for every handler, for formats such as
            ``{extra[request_id]}``. By default it has, unless the environment's ``BEARERWATCH_LOG_IDS`` says otherwise.

    Raises:
        ConfigurationError: ``BEARERWATCH_LOG_IDS`` says what it cannot.
    """
    global _installed, _log_ids  # noqa: PLW0603
    wanted = bool(log_ids_of(os.environ.get("BEARERWATCH_LOG_IDS") or True)) if log_ids is None else log_ids
    with _lock:
        _log_ids = wanted
        if not _installed:
            _handlers.Handler.emit = _safe_emit
            _handlers.Message = Message
            _interceptor.print = _safe_print
            _installed = True


def uninstall_loguru() -> None:
    """Undo :func:`install_loguru`."""
    global _installed  # noqa: PLW0603
    with _lock:
        if _installed:
            _handlers.Handler.emit = _emit
            _handlers.Message = _Message
            _interceptor.print = _print
            _installed = False


def _safe_emit(self: Any, record: Any, *args: Any, **kwargs: Any) -> None:
    record = _safe_record(record)
    _emit(self, _named(record) if _log_ids else record, *args, **kwargs)


def _named(record: Any) -> Any:
    """*record* with the ids of the request at hand; what is ``extra`` by their names stays."""
    try:
        return {**record, "extra": {**ids_at_hand(), **record["extra"]}}
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("ids of a loguru record", error)
        return record


def _safe_record(record: Any) -> Any:
    """*record* itself when it holds no token, else a redacted copy; its exception is rendered first."""
    try:
        changes: dict[str, Any] = {}
        for key in ("message", "extra"):
            clean = redact_value(record[key])
            if clean is not record[key] and clean != record[key]:
                changes[key] = clean
        for key in ("thread", "process"):
            name = record[key].name
            if (clean := redact_text(name)) != name:
                changes[key] = copy.copy(record[key])
                changes[key].name = clean
        return {**record, **changes} if changes else record
    except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
        _guard.swallowed("redaction of a loguru record", error)
        return {**record, "message": PLACEHOLDER, "extra": {}, "exception": None}


def _safe_text(text: str) -> str:
    try:
        return redact_text(text)
    except Exception as error:  # noqa: BLE001 - as above
        _guard.swallowed("redaction of a loguru line", error)
        return f"{PLACEHOLDER}\n"


def _without_raw_exception(record: Any) -> Any:
    try:
        if not record["exception"] or redacted_traceback(tuple(record["exception"])) is None:
            return record
    except Exception as error:  # noqa: BLE001 - as above
        _guard.swallowed("redaction of a loguru exception", error)
    return {**record, "exception": None}


def _safe_print(self: Any, record: Any = None, *, exception: BaseException | None = None) -> None:
    """What a handler prints when its sink fails: the whole record, and a traceback."""
    try:
        error = sys.exc_info()[1] if exception is None else exception
        text = "".join(traceback.format_exception(error)) if error is not None else ""
        text = f"--- Logging error in Loguru ---\nRecord was: {record}\n{text}--- End of logging error ---\n"
        clean = redact_text(text)
        if clean == text:
            _print(self, record, exception=exception)
            return
    except Exception as failure:  # noqa: BLE001 - as above
        _guard.swallowed("redaction of a loguru error", failure)
        clean = f"--- Logging error in Loguru ---\n{PLACEHOLDER}\n"
    with suppress(OSError, ValueError, AttributeError):  # a closed stderr, or none, is not ours to mend
        sys.stderr.write(clean)
