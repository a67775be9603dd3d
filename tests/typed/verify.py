"""Tokens verified as users write it: checked by mypy, never run."""

from __future__ import annotations

from typing import Annotated

import flask
from fastapi import FastAPI, Security

from bearerwatch.verify.dpop import DpopProofs, Nonces
from bearerwatch.verify.fastapi import BearerAuth, BearerRefused, problem
from bearerwatch.verify.flask import require_bearer, use_guard
from bearerwatch.verify.guard import Asked, Guard
from bearerwatch.verify.jwks import Jwks
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys
from bearerwatch.verify.verdict import Verdict

ISSUER = "https://login.example.com"
published = JwtVerifier(issuer=ISSUER, audience="orders", algorithms=["RS256"], keys=Jwks.discover(ISSUER))
fixed = JwtVerifier(
    issuer="https://other.example.com",
    audience=["orders", "https://orders.example.com"],
    algorithms=("ES256",),
    keys=Keys.from_file("keys.pem"),
    typ=("at+jwt", "JWT", None),
)


def asked_elsewhere(_token: str) -> Verdict:
    raise NotImplementedError


guard = Guard(
    [published, fixed],
    opaque=asked_elsewhere,
    revoked={"k1a2b3c4d:9f86d081884c7d659a2feaa0c55ad015"},
    dpop=DpopProofs(nonces=Nonces()),
)
app = flask.Flask("orders")
use_guard(app, guard)


@app.get("/orders")
@require_bearer(scopes=["orders:read"])
def orders() -> dict[str, str]:
    return {"of": flask.g.bearer.subject}


api = FastAPI()
api.add_exception_handler(BearerRefused, problem)
bearer = BearerAuth(guard)


@api.get("/orders")
async def orders_awaited(
    verdict: Annotated[Verdict, Security(bearer, scopes=["orders:read"])],
) -> dict[str, str | None]:
    return {"of": verdict.subject}


async def by_hand(authorization: str) -> int:
    asked = Asked("GET", "https://api.example.com/orders", [authorization])
    answer = guard(asked).answer or (await guard.admit(asked)).answer
    return 200 if answer is None else answer.status
