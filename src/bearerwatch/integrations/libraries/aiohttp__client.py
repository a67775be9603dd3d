"""aiohttp's client: what is asked of other services says for which request.

Tracing is what it has for that, by session, and makes each call a fifth slower; so ``ClientSession._request`` is
wrapped, which every request passes. Tracing is used where not every host is told, for it hears of redirects.
https://docs.aiohttp.org/en/stable/tracing_reference.html
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aiohttp.client import ClientSession
from aiohttp.tracing import TraceConfig
from multidict import CIMultiDict
from yarl import URL

from bearerwatch import _guard
from bearerwatch.context import current, onward, tells_everybody
from bearerwatch.integrations.libraries._clients import TELLING, at_last, news

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "aiohttp", ("3.9", "3.14")
PATCHES = ("aiohttp.client.ClientSession._request",)


def install() -> None:
    """Wrap ``ClientSession._request``."""
    theirs = ClientSession._request  # noqa: SLF001
    traced = _config()

    @wraps(theirs)
    def _request(self: Any, method: str, url: Any, *, headers: Any = None, **more: Any) -> Any:
        if current.get() is not None:
            try:
                if tells_everybody():
                    headers = _told(self, headers)
                elif traced not in self.trace_configs:
                    self.trace_configs.append(traced)
            except Exception as error:  # noqa: BLE001 - host boundary: no call fails because of us
                _guard.swallowed(TELLING, error)
        return theirs(self, method, url, headers=headers, **more)

    ClientSession._request = _request  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _told(session: Any, headers: Any) -> Any:
    """*headers* of a call, and which request it is for, unless they or those of the *session* say so."""
    if not headers and not session.headers:
        return onward()
    try:
        own = CIMultiDict(headers or ())
    except (TypeError, ValueError):
        return headers  # aiohttp says what is wrong with them
    own.update(news({name.lower() for named in (own, session.headers) for name in named}))
    return own


def _config() -> TraceConfig:
    config: TraceConfig = TraceConfig()
    config.on_request_start.append(_started)
    config.on_request_redirect.append(_redirected)
    config.freeze()
    return config


async def _started(_session: Any, _context: Any, params: Any) -> None:
    at_last(params.headers, params.url.host)


async def _redirected(_session: Any, _context: Any, params: Any) -> None:
    """The same headers go to the next host."""
    place = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
    try:
        host = params.url.join(URL(place)).host
    except ValueError:
        return  # aiohttp says what is wrong with it
    at_last(params.headers, host)
