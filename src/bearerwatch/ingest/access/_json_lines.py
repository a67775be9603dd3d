"""Access logs of one JSON object a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bearerwatch.ingest.access._fields import Field, ordered, put_together
from bearerwatch.ingest.access._line import AccessLine, Unreadable

__all__ = ["JsonLines"]

_DECODER = msgspec.json.Decoder(dict[str, Any])


class JsonLines:
    """Reads lines of one JSON object each.

    Args:
        keys: what keys stand for; a dot leads into an object, whose keys hold no dot.
        server: whose log it is, for errors.
        asked: whether the log names all headers there were, so that one which is not there was not sent.
    """

    def __init__(self, keys: Mapping[str, Field], *, server: str, asked: bool = False) -> None:
        self._plan = [(key.split("."), field.name, field.read) for key, field in ordered(keys.items())]
        self._server = server
        self._asked = asked
        self._authorization = [path for path, name, _ in self._plan if name == "authorization"]

    def __call__(self, line: str) -> AccessLine:
        """What *line* says.

        Raises:
            Unreadable: it is no JSON object, or says nothing of a request.
        """
        try:
            found = _DECODER.decode(line)
        except (ValueError, msgspec.DecodeError, RecursionError):  # which is a ValueError from 0.21 on
            raise Unreadable("not_json", f"the line is no JSON object; {self._server} writes one a line") from None
        values: dict[str, object] = {}
        for path, name, read in self._plan:
            if name in values:
                continue
            raw = _at(found, path)
            if raw is not None and (value := read(raw)) is not None:
                values[name] = value
        if not values.keys() & {"status", "request", "target", "path"}:
            raise Unreadable(
                "layout",
                f"the line has none of the keys by which {self._server} names a request; see the guide's table",
            )
        asked = self._asked or any(_at(found, path) is not None for path in self._authorization)
        return put_together(values, asked=asked)


def _at(found: Any, path: list[str]) -> Any:
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, list):  # a header and its values
        found = found[0] if found else None
    return found
