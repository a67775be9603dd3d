"""What Django shows of an exception: the debug page, and the mails to the admins.

Django's filters star what is called a secret, while ``DEBUG`` is off, in settings and in ``request.META``; the
variables of each frame, the query, the URL and the exception's own text are shown as they are. So the page's data is
redacted where ``ExceptionReporter`` collects it, and its text once it is rendered. The project's own filter
(``DEFAULT_EXCEPTION_REPORTER_FILTER``) is asked first, as ever, and a reporter derived from Django's is covered too.
https://docs.djangoproject.com/en/stable/howto/error-reporting/
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from django.views.debug import ExceptionReporter

from bearerwatch import _guard
from bearerwatch.redact.engine import redact_text
from bearerwatch.redact.logging import PLACEHOLDER, keep_exceptions_for
from bearerwatch.redact.structure import redact_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["install_reports"]

_RENDERERS = ("get_traceback_html", "get_traceback_text")
_TEXTS = ("exception_value", "exception_notes", "unicode_hint", "user_str", "request_insecure_uri")
_TABLES = ("request_meta", "settings", "template_info")
_PAIRS = ("filtered_POST_items", "request_COOKIES_items", "request_GET_items", "request_FILES_items")
_SOURCE = ("pre_context", "context_line", "post_context")


def install_reports() -> None:
    """Keep tokens out of Django's reports of exceptions, in this process. Calling it again changes nothing."""
    wrappers: dict[str, Callable[[Any], Any]] = {
        "get_traceback_frames": _frames,
        "get_traceback_data": _data,
        **dict.fromkeys(_RENDERERS, _rendered),
    }
    for name, wrap in wrappers.items():
        theirs = getattr(ExceptionReporter, name)
        if not hasattr(theirs, "__bearerwatch__"):
            ours = wraps(theirs)(wrap(theirs))
            ours.__bearerwatch__ = True  # type: ignore[attr-defined]
            setattr(ExceptionReporter, name, ours)
    keep_exceptions_for(_mails_safely)


def _mails_safely(handler: Any) -> bool:
    """Whether *handler* mails reports that are made here, so that it may have an exception that quotes a token."""
    reporter = getattr(handler, "reporter_class", None)
    return reporter is not None and all(
        hasattr(getattr(reporter, name, None), "__bearerwatch__") for name in _RENDERERS
    )


def _frames(theirs: Callable[[Any], list[dict[str, Any]]]) -> Callable[[Any], list[dict[str, Any]]]:
    def get_traceback_frames(self: Any) -> list[dict[str, Any]]:
        frames = theirs(self)
        for frame in frames:
            if "vars" in frame:  # before they are rendered, which breaks long bytes over several lines
                frame["vars"] = [_pair(name, value) for name, value in frame["vars"]]
        return frames

    return get_traceback_frames


def _pair(name: Any, value: Any) -> tuple[Any, Any]:
    try:
        ((clean_name, clean),) = redact_value({name: value}).items()
        return clean_name, clean
    except Exception:  # noqa: BLE001 - a variable of theirs that cannot be looked at: its text is, later
        return name, value


def _data(theirs: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    def get_traceback_data(self: Any) -> dict[str, Any]:
        data = theirs(self)
        try:
            return _redacted(data)
        except Exception as error:  # noqa: BLE001 - host boundary: a report is made without us
            _guard.swallowed("redaction of an exception report", error)
            return data  # its text is redacted yet

    return get_traceback_data


def _redacted(data: dict[str, Any]) -> dict[str, Any]:
    for frame in data.get("frames", ()):
        if "vars" in frame:
            frame["vars"] = [_pair(name, value) for name, value in frame["vars"]]
        for key in _SOURCE:
            if key in frame:
                frame[key] = redact_value(frame[key])
        cause = frame.get("exc_cause")
        if cause is not None and redact_text(str(cause)) != str(cause):
            frame["exc_cause"] = redact_text(str(cause))
    changes: dict[str, Any] = {key: redact_text(data[key]) for key in _TEXTS if isinstance(data.get(key), str)}
    changes |= {key: redact_value(data[key]) for key in _TABLES if data.get(key)}
    changes |= {key: _pairs(data[key]) for key in _PAIRS if key in data}
    return {**data, **changes}


def _pairs(items: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [_pair(name, value) for name, value in items]


def _rendered(theirs: Callable[[Any], str]) -> Callable[[Any], str]:
    def render(self: Any) -> str:
        text = theirs(self)
        try:
            clean = redact_text(text)
            return text if clean == text else type(text)(clean)  # text that is marked as safe HTML stays so
        except Exception as error:  # noqa: BLE001 - host boundary: better no report than a token in one
            _guard.swallowed("redaction of an exception report", error)
            return PLACEHOLDER

    return render
