"""httpx: what is asked of other services says for which request.

Its event hooks are a client's own; ``send``, which every request of both clients passes, is wrapped.
"""

from __future__ import annotations

import httpx

from bearerwatch.integrations.libraries._clients import wrap_send

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "httpx", ("0.27", "0.28")
PATCHES = ("httpx.Client.send", "httpx.AsyncClient.send")


def install() -> None:
    """Wrap ``send`` of both clients."""
    wrap_send(httpx.Client, httpx.AsyncClient)
