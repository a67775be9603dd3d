"""An API on FastAPI that asks for tokens by a dependency of bearerwatch.verify."""

# ruff: noqa: B008, FAST002 - what is local cannot stand in an annotation that is a string

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Security

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.verify.fastapi import BearerAuth, BearerRefused, problem
from libraries import doors

BEARER = BearerAuth(doors.guard())
asks = doors.asks


def application(*, whole: bool) -> FastAPI:
    app = FastAPI()
    app.add_middleware(BearerwatchMiddleware)
    if whole:
        app.add_exception_handler(BearerRefused, problem)

    @app.get("/orders")
    def orders(verdict: Any = Security(BEARER, scopes=["read"])) -> Any:
        return {"orders": [], "of": verdict.subject}

    @app.get("/orders/of/{owner}")
    async def orders_of(owner: str, verdict: Any = Security(BEARER, scopes=["read"])) -> Any:
        if owner != verdict.subject:
            raise HTTPException(403)
        return {"orders": []}

    return app


def stacks() -> dict[str, tuple[str, Any]]:
    return {"plain": ("asgi", application(whole=False)), "problems": ("asgi", application(whole=True))}
