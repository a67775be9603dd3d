"""httpx2: what is asked of other services says for which request.

Its event hooks are a client's own; ``send``, which every request of both clients passes, is wrapped.
"""

from __future__ import annotations

import httpx2

from bearerwatch.integrations.libraries._clients import wrap_send

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "httpx2", ("2.0", "2.16")
PATCHES = ("httpx2.Client.send", "httpx2.AsyncClient.send")


def install() -> None:
    """Wrap ``send`` of both clients."""
    wrap_send(httpx2.Client, httpx2.AsyncClient)
