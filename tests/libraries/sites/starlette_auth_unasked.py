"""The same, where nobody has said how a refusal is answered: with 400, like any bad request."""

from __future__ import annotations

from typing import Any

from libraries.sites import starlette_auth

asks = starlette_auth.asks


def stacks() -> dict[str, tuple[str, Any]]:
    return {"async": ("asgi", starlette_auth.application(starlette_auth.orders_async))}
