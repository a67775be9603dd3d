"""Ids for structlog: a processor for anywhere before the renderer.

It imports nothing of structlog's. https://www.structlog.org/en/stable/processors.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.correlate.ids import LOG_IDS, UNKNOWN, known_ids

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["AddIds"]


class AddIds:
    """Adds the ids that are known of the request at hand, those of :data:`bearerwatch.correlate.LOG_IDS`.

    What the event has by those names stays. With ``ProcessorFormatter`` one more belongs into its
    ``foreign_pre_chain``: for lines logged through ``logging`` it takes what their records were given when they were
    logged, which may have been in another thread.
    """

    def __call__(self, _logger: Any, _method_name: str, event_dict: MutableMapping[str, Any]) -> Any:
        """The event with its ids; outside of a request as it came."""
        try:
            for name, value in self._ids(event_dict).items():
                event_dict.setdefault(name, value)
        except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
            _guard.swallowed("ids of a structlog event", error)
        return event_dict

    @staticmethod
    def _ids(event: MutableMapping[str, Any]) -> dict[str, Any]:
        record = event.get("_record")
        held = {} if record is None else record.__dict__
        if "request_id" not in held:
            return known_ids()
        return {name: held[name] for name in LOG_IDS if held.get(name, UNKNOWN) != UNKNOWN}
