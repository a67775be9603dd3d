"""A token on a path that leads nowhere was looked at by nobody: neither let in nor refused."""

from __future__ import annotations

import json
import secrets

import flask
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.flask import Bearerwatch
from bearerwatch.sinks import spool


def _events(state):
    for sink in list(spool._all):
        sink.close()
    return [
        json.loads(line)
        for path in sorted((state / "spool").rglob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def _flask():
    app = flask.Flask("shop")
    Bearerwatch(app)

    @app.get("/here")
    def here():
        flask.abort(404 if "gone" in flask.request.args else 200)

    return lambda path, headers: app.test_client().get(path, headers=headers).status_code


def _starlette():
    async def here(request):
        return PlainTextResponse("", status_code=404)

    app = BearerwatchMiddleware(Starlette(routes=[Route("/here", here)]))
    return lambda path, headers: TestClient(app).get(path, headers=headers).status_code


@pytest.mark.parametrize("make", [_flask, _starlette])
def test_a_token_where_no_route_is_counts_as_nobody_s(make, tmp_path, monkeypatch):
    monkeypatch.setenv("BEARERWATCH_STATE", str(tmp_path))
    get = make()
    headers = {"Authorization": f"Bearer {secrets.token_urlsafe(24)}"}

    assert [get("/nowhere", headers), get("/here?gone=1", headers)] == [404, 404]

    told = [(event["outcome"], event.get("reason"), event.get("route")) for event in _events(tmp_path)]
    assert told == [("anonymous", "no_route", None), ("success", None, "/here")]


def test_a_query_token_is_read_however_its_name_is_spelled(tmp_path, monkeypatch):
    monkeypatch.setenv("BEARERWATCH_STATE", str(tmp_path))
    token = secrets.token_urlsafe(24)

    _flask()(f"/here?gone=1&access%5Ftoken={token}", {})

    (event,) = _events(tmp_path)
    assert (event["outcome"], event["reason"], event["token_source"]) == ("success", "query_token", "query")


def test_guesses_at_a_websocket_are_refused_tokens_and_unknown_sockets_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("BEARERWATCH_STATE", str(tmp_path))

    async def feed(websocket):
        await websocket.close(1008)

    client = TestClient(BearerwatchMiddleware(Starlette(routes=[WebSocketRoute("/feed", feed)])))
    for path in ("/feed", "/nowhere"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(path, headers={"Authorization": f"Bearer {secrets.token_urlsafe(24)}"}),
        ):
            pass

    told = [(event["outcome"], event["status"], event.get("reason")) for event in _events(tmp_path)]
    assert told == [("invalid", 403, None), ("anonymous", 403, "no_route")]
