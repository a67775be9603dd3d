"""The doors by themselves: without the middleware, what clients are answered, and what each framework adds."""

# ruff: noqa: B008, FAST002 - what is local cannot stand in an annotation that is a string

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask
import pytest
from fastapi import FastAPI, Security, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bearerwatch.errors import ConfigurationError
from bearerwatch.verify.dpop import DpopProofs, Nonces
from bearerwatch.verify.fastapi import BearerAuth, BearerRefused, problem
from bearerwatch.verify.flask import require_bearer, use_guard
from bearerwatch.verify.guard import Guard
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys, KeysUnavailable
from fakes import opaque
from issuers import AUDIENCE, ISSUER, issuer
from libraries.versions import since
from proofs import Sender

SENDER = Sender()


def guard(**more: Any) -> Guard:
    keys = more.pop("keys", None) or Keys.from_jwk(issuer().jwk)
    return Guard(JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=keys), **more)


class _Gone:
    def find(self, kid: str | None) -> Any:
        raise KeysUnavailable(30)

    async def afind(self, kid: str | None) -> Any:
        raise KeysUnavailable(30)


def flask_client(one: Guard, **need: Any) -> Any:
    app = flask.Flask("doors")
    use_guard(app, one)

    @app.get("/orders")
    @require_bearer(**need)
    def orders() -> Any:
        return flask.jsonify(of=flask.g.bearer.subject)

    @app.get("/awaited")
    @require_bearer(**need)
    async def awaited() -> Any:
        return flask.jsonify(of=flask.g.bearer.subject)

    return app.test_client()


def fastapi_client(one: Guard, *, whole: bool = True, **need: Any) -> Any:
    app = FastAPI()
    scopes = need.pop("scopes", [])
    bearer = BearerAuth(one, **need)
    if whole:
        app.add_exception_handler(BearerRefused, problem)

    @app.get("/orders")
    async def orders(verdict: Any = Security(bearer, scopes=scopes)) -> Any:
        return {"of": verdict.subject}

    @app.websocket("/live")
    async def live(websocket: WebSocket, verdict: Any = Security(bearer, scopes=scopes)) -> None:
        await websocket.accept()
        await websocket.send_json({"of": verdict.subject})
        await websocket.close()

    return TestClient(app)


def body(response: Any) -> Any:
    return json.loads(response.data if hasattr(response, "data") else response.content)


@pytest.mark.parametrize("client", [flask_client, fastapi_client])
def test_answers_are_problems_with_a_challenge(client: Any) -> None:
    one = client(guard(realm="orders"), scopes=["read"])
    let_in = one.get("/orders", headers={"Authorization": f"Bearer {issuer().token()}"})
    assert (let_in.status_code, body(let_in)) == (200, {"of": "41"})
    for token, status, error, more in [
        (None, 401, None, 'scope="read"'),
        (opaque(), 401, "invalid_token", 'error="invalid_token"'),
        (issuer().token(exp=7), 401, "invalid_token", 'error="invalid_token"'),
        (issuer().token(scope="list"), 403, "insufficient_scope", 'error="insufficient_scope", scope="read"'),
    ]:
        refused = one.get("/orders", headers={} if token is None else {"Authorization": f"Bearer {token}"})
        assert refused.status_code == status
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.headers["WWW-Authenticate"] == f'Bearer realm="orders", {more}'
        assert refused.headers["Cache-Control"] == "no-store"
        assert (body(refused)["status"], body(refused).get("error")) == (status, error)


@pytest.mark.parametrize("client", [flask_client, fastapi_client])
def test_where_keys_cannot_be_had_clients_are_told_when_to_ask_again(client: Any) -> None:
    refused = client(guard(keys=_Gone())).get("/orders", headers={"Authorization": f"Bearer {issuer().token()}"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert "WWW-Authenticate" not in refused.headers


@pytest.mark.parametrize(("client", "url"), [(flask_client, "http://localhost"), (fastapi_client, "http://testserver")])
def test_a_proof_names_the_url_that_the_framework_knows(client: Any, url: str) -> None:
    one = client(guard(dpop=DpopProofs(nonces=Nonces())))
    token = issuer().token(cnf={"jkt": SENDER.jkt})

    def ask(**claims: Any) -> Any:
        proof = SENDER.proof(token, url=claims.pop("url", f"{url}/orders"), **claims)
        return one.get("/orders?page=2", headers={"Authorization": f"DPoP {token}", "DPoP": proof})

    nonce = ask().headers["DPoP-Nonce"]
    assert ask(nonce=nonce).status_code == 200
    assert ask(nonce=nonce, url=f"{url}/others").status_code == 401
    assert one.get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("client", [flask_client, fastapi_client])
def test_a_token_may_be_optional(client: Any) -> None:
    one = client(guard(), optional=True)
    assert body(one.get("/orders")) == {"of": None}
    assert one.get("/orders", headers={"Authorization": f"Bearer {opaque()}"}).status_code == 401


def test_flask_views_that_are_coroutines_are_guarded_too() -> None:
    one = flask_client(guard())
    assert one.get("/awaited").status_code == 401
    assert body(one.get("/awaited", headers={"Authorization": f"Bearer {issuer().token()}"})) == {"of": "41"}


def test_flask_without_a_guard_lets_nobody_in() -> None:
    app = flask.Flask("doors")
    app.testing = True
    app.add_url_rule("/orders", view_func=require_bearer()(lambda: "let in"))
    with pytest.raises(ConfigurationError, match="use_guard"):
        app.test_client().get("/orders")


def test_what_a_route_asks_for_is_checked_when_it_is_made() -> None:
    with pytest.raises(ConfigurationError):
        require_bearer(scopes=['a"b'])
    with pytest.raises(ConfigurationError):
        BearerAuth(guard(), max_age=-1)


def test_fastapi_without_the_handler_answers_a_problem_all_the_same() -> None:
    refused = fastapi_client(guard(), whole=False).get("/orders")
    assert (refused.status_code, refused.json()) == (401, {"detail": "Unauthorized"})
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_fastapi_documents_the_scheme_and_the_scopes() -> None:
    document = fastapi_client(guard(), scopes=["read"]).get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    scopes = ["read"] if since("fastapi", "0.123") else []  # which had those of OAuth 2 alone before
    assert document["paths"]["/orders"]["get"]["security"] == [{"bearer": scopes}]
    there = "https://login.example.com/.well-known/openid-configuration"
    document = fastapi_client(guard(), openid_connect_url=there).get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"]["openIdConnectUrl"] == there


def test_fastapi_guards_websockets() -> None:
    one = fastapi_client(guard())
    with one.websocket_connect("/live", headers={"Authorization": f"Bearer {issuer().token()}"}) as there:
        assert there.receive_json() == {"of": "41"}
    with pytest.raises(WebSocketDisconnect) as refused, one.websocket_connect("/live"):
        pass
    assert refused.value.code == 1008


REST = Path(__file__).with_name("rest_framework_door.py")


def test_rest_framework() -> None:
    """In a process of its own, whose settings are its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", REST], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["fine"]), done.stderr[-3000:]


@pytest.mark.parametrize(
    ("door", "missing", "says"),
    [
        ("flask", "flask", "bearerwatch[flask,verify]"),
        ("fastapi", "fastapi", "pip install fastapi"),
        ("rest_framework", "rest_framework", "pip install djangorestframework"),
    ],
)
def test_without_its_framework_a_door_says_what_to_install(door: str, missing: str, says: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import bearerwatch.verify.{door}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bearerwatch.errors.DidNotEnable")
    assert says in last
