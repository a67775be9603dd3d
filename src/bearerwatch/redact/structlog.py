"""Redaction for structlog: a processor for anywhere in the chain, and a shell for its renderer.

What comes after a processor may bring tokens back (a renderer that shows objects, or the variables of a
traceback), so the renderer itself is best put into a :class:`Redactor`:
``processors=[..., Redactor(JSONRenderer())]``. https://www.structlog.org/en/stable/processors.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.redact.engine import redact_text
from bearerwatch.redact.logging import PLACEHOLDER, without_raw_exception
from bearerwatch.redact.structure import redact_value

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

__all__ = ["Redactor"]


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
        return _redacted(self._renderer(logger, method_name, event))

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
