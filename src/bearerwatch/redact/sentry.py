"""Redaction for Sentry: what ``before_send`` and its siblings are given leaves the process without tokens.

Sentry's own scrubber goes by the exact names of keys; a token in a message, a URL or a variable passes it.
``sentry_sdk.init(dsn=..., **hooks())`` sets all of them, after the project's own where it has some:
``**hooks(before_send=mine)``. https://docs.sentry.io/platforms/python/configuration/filtering/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.redact.logging import PLACEHOLDER
from bearerwatch.redact.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = [
    "before_breadcrumb",
    "before_send",
    "before_send_log",
    "before_send_metric",
    "before_send_span",
    "before_send_transaction",
    "hooks",
]

_redacted = Structure(depth=40, size=1_000_000)
"""An event is some levels deep before the variables of a frame begin, and has hundreds of frames, crumbs and spans."""
_HARMLESS = frozenset({"event_id", "level", "platform", "timestamp", "start_timestamp", "type"})


def before_send(event: Any, _hint: Any = None) -> Any:
    """An error event without tokens: exceptions, variables of frames, breadcrumbs, request, extra, tags, user."""
    return _safe(event, _bare_event)


def before_send_transaction(event: Any, _hint: Any = None) -> Any:
    """A transaction without tokens: its name, its request, and its spans' descriptions and data."""
    return _safe(event, _dropped)


def before_breadcrumb(crumb: Any, _hint: Any = None) -> Any:
    """A breadcrumb without tokens."""
    return _safe(crumb, _dropped)


def before_send_log(log: Any, _hint: Any = None) -> Any:
    """A structured log without tokens: its body and attributes."""
    return _safe(log, _dropped)


def before_send_metric(metric: Any, _hint: Any = None) -> Any:
    """A metric without tokens in its attributes."""
    return _safe(metric, _dropped)


def before_send_span(span: Any, _hint: Any = None) -> Any:
    """A streamed span without tokens; Sentry does not let one be dropped."""
    return _safe(span, _bare_span)


def hooks(**own: Callable[[Any, Any], Any] | None) -> dict[str, Callable[[Any, Any], Any]]:
    """Options for ``sentry_sdk.init``: each hook redacts what the project's own, if there is one, has returned.

    Args:
        own: the project's hooks by the names of their options. ``before_send_span``, for streamed spans, is set only
            if it is named here, with ``None`` where the project has none: Sentry warns of it where none are streamed.

    Raises:
        TypeError: Sentry has no hook of that name.
    """
    unknown = own.keys() - _HOOKS.keys()
    if unknown:
        raise TypeError(f"no hooks of Sentry: {', '.join(sorted(unknown))}")
    from sentry_sdk.consts import DEFAULT_OPTIONS  # noqa: PLC0415 - whoever calls this has it

    wanted = dict.fromkeys(name for name in _HOOKS if name != "before_send_span" and name in DEFAULT_OPTIONS) | own
    return {name: _after(theirs, _HOOKS[name]) for name, theirs in wanted.items()}


def _after(theirs: Callable[[Any, Any], Any] | None, ours: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    if theirs is None:
        return ours

    def hook(item: Any, hint: Any) -> Any:
        kept = theirs(item, hint)
        return None if kept is None else ours(kept, hint)

    return hook


_HOOKS: dict[str, Callable[[Any, Any], Any]] = {
    "before_breadcrumb": before_breadcrumb,
    "before_send": before_send,
    "before_send_log": before_send_log,
    "before_send_metric": before_send_metric,
    "before_send_span": before_send_span,
    "before_send_transaction": before_send_transaction,
}


def _safe(item: Any, otherwise: Callable[[Any], Any]) -> Any:
    try:
        return _redacted(item)
    except Exception as error:  # noqa: BLE001 - host boundary: Sentry drops what a hook raises for
        _guard.swallowed("redaction of what goes to Sentry", error)
        return otherwise(item)


def _bare_event(event: Any) -> Any:
    return {key: event[key] for key in _HARMLESS & event.keys()} | {"logentry": {"message": PLACEHOLDER}}


def _bare_span(span: Any) -> Any:
    return {**span, "name": PLACEHOLDER, "attributes": {}}


def _dropped(_item: Any) -> None:
    return None
