"""What the doors of bearerwatch.verify have in common: one guard, and the tokens to be tried on it."""

from __future__ import annotations

import time

from bearerwatch import fingerprint
from bearerwatch.verify.guard import Guard
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys
from fakes import b64
from issuers import AUDIENCE, ISSUER, issuer
from libraries.cases import Ask, NotThere

__all__ = ["REVOKED", "asks", "guard"]

REVOKED: set[str] = set()


def guard() -> Guard:
    one = issuer()
    verifier = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=Keys.from_jwk(one.jwk))
    return Guard(verifier, revoked=REVOKED)


def asks() -> dict[str, Ask | NotThere]:
    one, now = issuer(), int(time.time())
    good, revoked = one.token(), one.token()
    REVOKED.add(fingerprint(revoked))
    head, payload, signature = good.split(".")
    turned = "A" if signature[9] != "A" else "B"
    bad = f"{head}.{payload}.{signature[:9]}{turned}{signature[10:]}"
    unsecured = b64(b'{"alg":"none","typ":"at+jwt"}')
    tokens = {
        "malformed": f"{head}.not!json.x",
        "bad signature": bad,
        "alg none": f"{unsecured}.{payload}.",
        "unknown key": issuer("ES256", "k2").token(),
        "wrong issuer": one.token(iss="https://elsewhere.test"),
        "wrong audience": one.token(aud="another-service"),
        "not yet valid": one.token(nbf=now + 3000),
        "expired": one.token(exp=now - 300),
        "revoked": revoked,
        "too little scope": one.token(scope="nothing"),
        "success": good,
    }
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={bad}"),
        "query token": Ask(query=f"access_token={good}"),
    }
