"""What WSGI and Django requests have in common: the CGI-style environ (PEP 3333)."""

from __future__ import annotations

from typing import Any

from bearerwatch import _guard
from bearerwatch.observe import Exchange, Facts, Watch

__all__ = ["open_environ"]


def open_environ(watch: Watch, environ: dict[str, Any], path: str | None = None) -> Exchange | None:
    """Begin the request *environ* describes; ``None`` if that failed, for the request goes on all the same.

    Args:
        watch: the process's watch.
        environ: as the server made it.
        path: the decoded path, where the framework has it; else it is read from *environ*.
    """
    try:
        get = environ.get
        return watch.open(
            Facts(
                get("REQUEST_METHOD", ""),
                _path(get("SCRIPT_NAME", ""), get("PATH_INFO", "")) if path is None else path,
                get("QUERY_STRING", ""),
                get("REMOTE_ADDR") or "",
                get("HTTP_AUTHORIZATION"),
                None,  # the server has joined them
                get("HTTP_X_FORWARDED_FOR"),
                get("HTTP_FORWARDED"),
                get("HTTP_USER_AGENT"),
                get("HTTP_X_REQUEST_ID"),
                get("HTTP_TRACEPARENT"),
                None,
                get("HTTP_TRACESTATE"),
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
