"""aiohttp's client: what is asked of other services says for which request.

Tracing is what it has for that, by session: each is given one more ``TraceConfig`` as it is made.
https://docs.aiohttp.org/en/stable/tracing_reference.html
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aiohttp.client import ClientSession
from aiohttp.tracing import TraceConfig
from yarl import URL

from bearerwatch.context import tells_everybody
from bearerwatch.integrations.libraries._clients import at_last, tell

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "aiohttp", ("3.9", "3.14")
PATCHES = ("aiohttp.client.ClientSession.__init__",)


def install() -> None:
    """Give each session our ``TraceConfig``."""
    theirs = ClientSession.__init__

    @wraps(theirs)
    def __init__(self: Any, *args: Any, trace_configs: Any = None, **more: Any) -> None:  # noqa: N807
        theirs(self, *args, trace_configs=[*(trace_configs or ()), _config()], **more)

    ClientSession.__init__ = __init__  # type: ignore[method-assign]


def _config() -> TraceConfig:
    config: TraceConfig = TraceConfig()
    config.on_request_start.append(_started)
    config.on_request_redirect.append(_redirected)
    return config


async def _started(_session: Any, _context: Any, params: Any) -> None:
    tell(params.headers, params.url.host)


async def _redirected(_session: Any, _context: Any, params: Any) -> None:
    """The same headers go to the next host."""
    if not tells_everybody():
        place = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
        try:
            host = params.url.join(URL(place)).host
        except ValueError:
            return  # aiohttp says so
        at_last(params.headers, host)
