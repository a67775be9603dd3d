"""urllib3, and requests, which uses it: what is asked of other services says for which request.

There is no hook for all pools: ``HTTPConnectionPool.urlopen``, which every request of both passes, is wrapped.
https://urllib3.readthedocs.io/en/stable/reference/urllib3.connectionpool.html
"""

from __future__ import annotations

from collections import OrderedDict
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict
from urllib3.connectionpool import HTTPConnectionPool

from bearerwatch import _guard
from bearerwatch.context import current, onward, tells_everybody
from bearerwatch.integrations.libraries._clients import TELLING, news, tell

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "urllib3", ("2.0", "2.8")
PATCHES = ("urllib3.connectionpool.HTTPConnectionPool.urlopen",)


def install() -> None:
    """Wrap ``HTTPConnectionPool.urlopen``."""
    theirs = HTTPConnectionPool.urlopen

    @wraps(theirs)
    def urlopen(
        self: Any, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **more: Any
    ) -> Any:
        if current.get() is not None:
            try:
                host = None
                if not tells_everybody():
                    host = self.host if url.startswith("/") else urlsplit(url).hostname  # else this is a proxy's pool
                headers = _told(self.headers if headers is None else headers, host)
            except Exception as error:  # noqa: BLE001 - host boundary: no call fails because of us
                _guard.swallowed(TELLING, error)
        return theirs(self, method, url, body, headers, *args, **more)

    HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]


def _told(headers: Any, host: str | None) -> Any:
    """*headers* and which request this is for: a copy, in which a name that is repeated stays so."""
    if not headers:
        return onward(host)
    store: Any = getattr(headers, "_store", None)
    if type(store) in (dict, OrderedDict):  # requests': by lower-case name the name as given, and the value
        return {**dict(store.values()), **news(store, host)}
    if isinstance(headers, HTTPHeaderDict) or not hasattr(headers, "items"):
        own = HTTPHeaderDict(headers)
        tell(own, host)
        return own
    plain = dict(headers.items())
    plain.update(news({_lower(name) for name in plain}, host))
    return plain


def _lower(name: str | bytes) -> str:
    return (name if isinstance(name, str) else name.decode("latin-1")).lower()
