"""Routes: log in, orders, an export, a report, a websocket of order states."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse, Response, StreamingResponse
from shop.limits import RateLimit
from shop.store import Store
from shop.tokens import Holder, Refused, Tokens, bearer_from

log = logging.getLogger("shop.fastapi")
quotes = RateLimit(calls=8, seconds=10)


async def trace(connection: HTTPConnection) -> None:
    log.debug("%s headers=%s", connection.url.path, dict(connection.headers))


api = APIRouter(dependencies=[Depends(trace)])


async def refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.body, error.status, error.headers)


def store(connection: HTTPConnection) -> Store:
    return connection.app.state.store


def tokens(connection: HTTPConnection) -> Tokens:
    return connection.app.state.tokens


def caller(scope: str | None = None) -> Callable[[HTTPConnection], Holder]:
    """A dependency: who is asking; refused without a good token, or without *scope*."""

    def find(connection: HTTPConnection) -> Holder:
        presented = bearer_from(connection.headers.get("authorization"), connection.query_params.get("access_token"))
        holder = tokens(connection).holder(presented)
        if scope:
            holder.require(scope)
        return holder

    return find


Shop = Annotated[Store, Depends(store)]
Caller = Annotated[Holder, Depends(caller())]
Reader = Annotated[Holder, Depends(caller("orders:read"))]


@api.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@api.post("/login")
def login(
    shop: Shop,
    mint: Annotated[Tokens, Depends(tokens)],
    username: Annotated[str, Body()],
    password: Annotated[str, Body()],
    expires_in: Annotated[int | None, Body()] = None,
) -> dict[str, str | int]:
    scope = shop.check_password(username, password)
    if scope is None:
        log.warning("login failed for %r", username)
        raise Refused(401, "invalid_request", "Wrong user name or password")
    log.info("login of %s", username)
    return mint.issue(username, scope, seconds=expires_in)


@api.post("/logout", status_code=204)
def logout(holder: Caller, mint: Annotated[Tokens, Depends(tokens)]) -> None:
    mint.revoke(holder)


@api.get("/me")
def me(holder: Caller) -> dict[str, str]:
    return {"name": holder.name, "scope": holder.scope}


@api.post("/keys", status_code=201)
def new_key(holder: Caller, mint: Annotated[Tokens, Depends(tokens)]) -> dict[str, str]:
    return mint.issue_key(holder.name, holder.scope)


@api.get("/orders")
def orders(holder: Reader, shop: Shop) -> list[dict[str, object]]:
    return shop.orders_of(holder.name)


@api.get("/orders/{order_id}")
def order(order_id: int, holder: Reader, shop: Shop) -> dict[str, object]:
    found = shop.order(order_id)
    if found is None:
        raise HTTPException(404, "No such order")
    if found["owner"] != holder.name:
        log.warning("%s asked for order %d of somebody else", holder.name, order_id)
        raise HTTPException(403, "This is somebody else's order")
    return found


@api.post("/orders", status_code=201)
def place_order(
    holder: Annotated[Holder, Depends(caller("orders:write"))],
    shop: Shop,
    item: Annotated[str, Body()],
    quantity: Annotated[int, Body()],
) -> dict[str, object]:
    return shop.add_order(holder.name, item, quantity)


@api.get("/quote")
def quote(holder: Caller, items: int = 1) -> dict[str, int]:
    wait = quotes(holder.reference)
    if wait:
        raise HTTPException(429, "Too many quotes", {"Retry-After": str(wait)})
    return {"items": items, "each": 120 // items}  # nobody has asked for 0 items, so far


@api.get("/export")
def export(holder: Annotated[Holder, Depends(caller("export:read"))], shop: Shop) -> StreamingResponse:
    rows = shop.orders_of(holder.name)

    async def lines() -> AsyncIterator[str]:
        for row in rows:
            yield json.dumps(row) + "\n"
            await asyncio.sleep(0.005)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@api.get("/admin/report")
def report(_holder: Annotated[Holder, Depends(caller("reports:read"))], shop: Shop) -> dict[str, object]:
    return {"orders": shop.totals()}


@api.websocket("/ws")
async def order_states(websocket: WebSocket) -> None:
    """Tells the state of each order whose number is sent, to its owner alone."""
    try:
        holder = await run_in_threadpool(caller("orders:read"), websocket)
    except Refused:
        await websocket.close(code=1008)  # before accept(): the handshake is answered 403
        return
    await websocket.accept()
    try:
        while True:
            number = int(await websocket.receive_text())
            found = await run_in_threadpool(store(websocket).order, number)
            mine = found is not None and found["owner"] == holder.name
            await websocket.send_text(str(found["status"]) if found and mine else "unknown")
    except (WebSocketDisconnect, ValueError):
        return
