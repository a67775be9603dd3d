"""The API on Starlette and on FastAPI."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route

from bearerwatch.asgi import BearerwatchMiddleware
from watched import policy

__all__ = ["fastapi", "starlette"]


def answer(given: policy.Answer) -> Response:
    headers = None if given.challenge is None else {"WWW-Authenticate": given.challenge}
    return Response(given.body or None, given.status, headers)


def presented(request: Request) -> tuple[str | None, str | None]:
    return request.headers.get("authorization"), request.query_params.get("access_token")


def streamed(chunks: Iterator[bytes], **headers: str) -> StreamingResponse:
    async def later() -> Any:
        for chunk in chunks:
            yield chunk

    return StreamingResponse(later(), headers=headers)


async def public(request: Request) -> Response:
    return Response("hello")


async def orders(request: Request) -> Response:
    return answer(policy.order(*presented(request), request.path_params["order_id"]))


async def limited(request: Request) -> Response:
    return answer(policy.Answer(429, "slow down"))


async def broken(request: Request) -> Response:
    return answer(policy.Answer(503, "out of order"))


async def boom(request: Request) -> Response:
    raise RuntimeError("this view always raises")


async def empty(request: Request) -> Response:
    return answer(policy.Answer(204, ""))


async def logs(request: Request) -> Response:
    logging.getLogger("orders").warning("presented: %s", request.headers.get("Authorization", "").split()[-1])
    return Response("logged")


async def stream(request: Request) -> Response:
    return streamed(policy.chunks())


async def stream_fails(request: Request) -> Response:
    return streamed(policy.chunks(fails=True))


async def stream_sized(request: Request) -> Response:
    return streamed(policy.chunks(), **{"Content-Length": "13"})


async def items(request: Request) -> Response:
    return Response(f"item {request.path_params['item_id']}")


class Admin(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return answer(policy.guard(*presented(request), "admin") or policy.Answer(200, "hello"))


def starlette(**settings: Any) -> Starlette:
    """The watched application."""
    app = Starlette(
        routes=[
            Route("/public", public),
            Route("/orders/{order_id}", orders),
            Route("/admin", Admin),
            Route("/limited", limited),
            Route("/broken", broken),
            Route("/boom", boom),
            Route("/empty", empty),
            Route("/logs", logs),
            Route("/stream", stream),
            Route("/stream/fails", stream_fails),
            Route("/stream/sized", stream_sized),
            Mount("/inner", routes=[Route("/items/{item_id:int}", items)]),
        ]
    )
    app.add_middleware(BearerwatchMiddleware, **settings)
    return app


def fastapi(**settings: Any) -> FastAPI:
    """The watched application: plain functions, an included router and a mounted application."""
    app = FastAPI()

    @app.get("/orders/{order_id}")
    def one_order(order_id: str, request: Request) -> Response:
        return answer(policy.order(*presented(request), order_id))

    @app.get("/admin")
    async def admin(request: Request) -> Response:
        return answer(policy.guard(*presented(request), "admin") or policy.Answer(200, "hello"))

    for path, view in {
        "/public": public,
        "/limited": limited,
        "/broken": broken,
        "/boom": boom,
        "/empty": empty,
        "/logs": logs,
        "/stream": stream,
        "/stream/fails": stream_fails,
        "/stream/sized": stream_sized,
    }.items():
        app.add_api_route(path, view, response_model=None, methods=["GET", "HEAD"])

    @app.websocket("/rooms/{room}")
    async def rooms(socket: WebSocket, room: str) -> None:
        if policy.guard(socket.headers.get("authorization"), socket.query_params.get("access_token")) is not None:
            await socket.close(1008)
            return
        await socket.accept()
        await socket.send_text(f"welcome to {room}")
        await socket.close()

    router = APIRouter()

    @router.get("/items/{item_id}")
    async def one_item(item_id: int) -> dict[str, int]:
        return {"item": item_id}

    app.include_router(router, prefix="/inner")
    mounted = FastAPI()
    mounted.include_router(router)
    app.mount("/mounted", mounted)
    app.add_middleware(BearerwatchMiddleware, **settings)
    return app
