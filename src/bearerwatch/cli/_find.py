"""Looking up events for whichever command shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.store.reader import Reader

__all__ = ["find"]


def find(reader: Reader, tokens: list[str], **filters: Any) -> list[dict[str, Any]]:
    """Events that fit, oldest first; those of any of *tokens* if there are some.

    Raises:
        ConfigurationError: the beginning of a fingerprint fits several tokens.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        for token in tokens or (None,):
            for event in reader.timeline(token=token, **filters):
                found[event["event_id"]] = event
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"--token: {error}") from None
    ordered = sorted(found.values(), key=lambda event: (event["ts"], event["event_id"]))
    limit = filters.get("limit")
    return ordered if limit is None else ordered[-limit:]
