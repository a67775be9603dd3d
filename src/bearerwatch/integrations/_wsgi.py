"""What WSGI and Django requests have in common: the CGI-style environ (PEP 3333)."""

from __future__ import annotations

from typing import Any

from bearerwatch import _guard
from bearerwatch.observe import Exchange, Facts, Watch

__all__ = ["open_environ"]


def open_environ(watch: Watch, environ: dict[str, Any]) -> Exchange | None:
    """Begin the request *environ* describes; ``None`` if that failed, for the request goes on all the same."""
    try:
        get = environ.get
        authorization = get("HTTP_AUTHORIZATION")
        return watch.open(
            Facts(
                get("REQUEST_METHOD", ""),
                _path(get("SCRIPT_NAME", ""), get("PATH_INFO", "")),
                get("QUERY_STRING", ""),
                get("REMOTE_ADDR") or "",
                authorization,
                False,
                get("HTTP_X_FORWARDED_FOR"),
                get("HTTP_FORWARDED"),
                get("HTTP_USER_AGENT"),
                get("HTTP_X_REQUEST_ID"),
                get("HTTP_TRACEPARENT"),
            )
        )
    except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
        _guard.swallowed("reading a request", error)
        return None


def _path(script: str, path: str) -> str:
    """The path in UTF-8: WSGI hands over its bytes as Latin-1 (PEP 3333, 'Unicode Issues')."""
    whole = script + path
    if whole.isascii():
        return whole
    return whole.encode("latin-1", "replace").decode("utf-8", "replace")
