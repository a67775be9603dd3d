"""urllib3, and requests, which uses it: what is asked of other services says for which request.

There is no hook for all pools: ``HTTPConnectionPool.urlopen``, which every request of both passes, is wrapped.
https://urllib3.readthedocs.io/en/stable/reference/urllib3.connectionpool.html
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from urllib3 import HTTPHeaderDict
from urllib3.connectionpool import HTTPConnectionPool

from bearerwatch.context import onward

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
        told = onward()
        if told:
            headers = HTTPHeaderDict(self.headers if headers is None else headers)
            for name, value in told.items():
                headers.setdefault(name, value)
        return theirs(self, method, url, body, headers, *args, **more)

    HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]
