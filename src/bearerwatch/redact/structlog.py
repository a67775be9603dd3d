"""Redaction for structlog: a processor for anywhere in the chain, and a shell for its renderer.

What comes after a processor may bring tokens back (a renderer that shows objects, or the variables of a
traceback), so the renderer itself is best put into a :class:`Redactor`:
``processors=[..., Redactor(JSONRenderer())]``. https://www.structlog.org/en/stable/processors.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.redact.engine import find, redact_text, redact_value
from bearerwatch.redact.logging import PLACEHOLDER, without_raw_exception

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

__all__ = ["Redactor"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE_END = re.compile(r"[ \t│|]*\n[ \t│|]*")


class Redactor:
    """Takes the tokens out of an event. Neither the event nor anything in it is changed: what leaks is copied.

    An exception that quotes a token becomes its redacted text, under ``exception``; any other stays for the
    processors that come after. Where ``ProcessorFormatter`` formats what others log through ``logging``, one more
    belongs into its ``foreign_pre_chain``, or their redacted tracebacks are left out.

    Args:
        renderer: the last processor of the chain. What it makes of the redacted event is redacted once more.
    """

    def __init__(self, renderer: Callable[[Any, str, Any], Any] | None = None) -> None:
        self._renderer = renderer

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> Any:
        """The event without its tokens, or what the renderer makes of it."""
        event = self._clean(event_dict)
        if self._renderer is None:
            return event
        raw = event.get("exc_info")
        again = dict(event) if raw else event  # renderers take from what they are given
        shown = _redacted(self._renderer(logger, method_name, event))
        if not raw or not isinstance(shown, str) or not _in_pieces(shown):
            return shown
        del again["exc_info"]
        return _redacted(self._renderer(logger, method_name, again))

    def _clean(self, event: MutableMapping[str, Any]) -> Any:
        try:
            record = event.get("_record")
            if record is not None and record.exc_text and not record.exc_info and "exception" not in event:
                event = {**event, "exception": record.exc_text}  # redacted on its way: ProcessorFormatter drops it
            return redact_value(without_raw_exception(event))
        except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
            _guard.swallowed("redaction of a structlog event", error)
            return {"event": PLACEHOLDER}


def _redacted(shown: Any) -> Any:
    try:
        if isinstance(shown, bytearray):
            return bytearray(redact_value(bytes(shown)))
        return redact_text(shown) if isinstance(shown, str) else redact_value(shown)
    except Exception as error:  # noqa: BLE001 - as above
        _guard.swallowed("redaction of a structlog line", error)
        if isinstance(shown, bytes | bytearray):
            return PLACEHOLDER.encode()
        return PLACEHOLDER if isinstance(shown, str) else {"event": PLACEHOLDER}


def _in_pieces(shown: str) -> bool:
    """Whether a traceback shown with its variables has a token in pieces: in a box, over several lines, in colours."""
    try:
        return bool(find(_LINE_END.sub("", _COLOUR.sub("", shown))))
    except Exception as error:  # noqa: BLE001 - as above
        _guard.swallowed("redaction of a structlog line", error)
        return True
