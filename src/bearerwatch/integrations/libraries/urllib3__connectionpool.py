"""urllib3, and requests, which uses it: what is asked of other services says for which request.

There is no hook for all pools: ``HTTPConnectionPool.urlopen``, which every request of both passes, is wrapped.
https://urllib3.readthedocs.io/en/stable/reference/urllib3.connectionpool.html
"""

from __future__ import annotations

from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict
from urllib3.connectionpool import HTTPConnectionPool

from bearerwatch.context import current
from bearerwatch.integrations.libraries._clients import tell

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
            headers = HTTPHeaderDict(self.headers if headers is None else headers)
            tell(headers, self.host if url.startswith("/") else urlsplit(url).hostname)  # else this is a proxy's pool
        return theirs(self, method, url, body, headers, *args, **more)

    HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]
