"""Verifies access tokens each way in turn: ``-m bench._verify_worker RS256 41`` prints microseconds by way and turn."""

from __future__ import annotations

import gc
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import jwt
from joserfc import jwk
from joserfc import jwt as joserfc_jwt

from bearerwatch.context import RequestContext, current
from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.verify.answers import Need
from bearerwatch.verify.guard import Asked, Guard
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys
from issuers import AUDIENCE, ISSUER, issuer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is deprecated, and in use
    from authlib.jose import JsonWebKey, JsonWebToken

_TOKENS = 200
_CLAIMS: Any = {name: {"essential": True} for name in ("exp", "iat", "sub", "jti", "client_id")} | {
    "iss": {"essential": True, "value": ISSUER},
    "aud": {"essential": True, "value": AUDIENCE},
}


def main(alg: str, rounds: int) -> None:
    one = issuer(alg)
    tokens = [one.token(scope="orders:read orders:write") for _ in range(_TOKENS)]
    ways = {
        "bearerwatch": _bearerwatch(alg),
        "guard": _guard(alg),
        "joserfc": _joserfc(one.key, alg),
        "PyJWT": _pyjwt(one.key, alg),
        "Authlib": _authlib(one.jwk, alg),
    }
    _check(ways, one)
    spent: dict[str, list[float]] = {way: [] for way in ways}
    gc.disable()
    for number in range(-1, rounds):
        for way, verify in ways.items():
            began = time.process_time_ns()
            for token in tokens:
                verify(token)
            if number >= 0:
                spent[way].append((time.process_time_ns() - began) / _TOKENS / 1000)
        gc.collect()
    print(json.dumps(spent))


def _check(ways: dict[str, Callable[[str], Any]], one: Any) -> None:
    good = one.token(scope="orders:read")
    head, payload, signature = good.split(".")
    changed = f"{head}.{payload}.{signature[:9]}{'A' if signature[9] != 'A' else 'B'}{signature[10:]}"
    for way, verify in ways.items():
        verify(good)
        for bad in (changed, one.token(exp=int(time.time()) - 600), one.token(aud="another")):
            try:
                verify(bad)
            except Exception:
                continue
            raise RuntimeError(f"{way} lets in a token that is no good")


def _bearerwatch(alg: str) -> Callable[[str], Any]:
    verifier = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=(alg,), keys=Keys.from_jwk(issuer(alg).jwk))

    def verify(token: str) -> Any:
        verdict = verifier(token)
        if not verdict.accepted:
            raise ValueError(verdict.reason)
        return verdict

    return verify


def _guard(alg: str) -> Callable[[str], Any]:
    use(KeyRing([b"a key of this benchmark alone"]))
    verifier = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=(alg,), keys=Keys.from_jwk(issuer(alg).jwk))
    guard = Guard(verifier, revoked={f"k1a2b3c4d:{number:032x}" for number in range(10_000)})
    need = Need.of("orders:read")

    def verify(token: str) -> Any:
        current.set(RequestContext("0123456789"))
        if guard(Asked("GET", "", (f"Bearer {token}",)), need).answer is not None:
            raise ValueError("refused")

    return verify


def _joserfc(key: Any, alg: str) -> Callable[[str], Any]:
    public = jwk.JWKRegistry.import_key(key.as_dict(private=False))
    claims = joserfc_jwt.JWTClaimsRegistry(leeway=60, **_CLAIMS)

    def verify(token: str) -> Any:
        found = joserfc_jwt.decode(token, public, algorithms=[alg])
        claims.validate(found.claims)
        return found

    return verify


def _pyjwt(key: Any, alg: str) -> Callable[[str], Any]:
    public = key.public_key
    options: Any = {"require": ["iss", "aud", "exp", "iat", "sub", "jti", "client_id"]}
    return lambda token: jwt.decode(
        token, public, algorithms=[alg], issuer=ISSUER, audience=AUDIENCE, leeway=60, options=options
    )


def _authlib(key: dict[str, Any], alg: str) -> Callable[[str], Any]:
    public, theirs = JsonWebKey.import_key(key), JsonWebToken([alg])

    def verify(token: str) -> Any:
        claims = theirs.decode(token, public, claims_options=_CLAIMS)
        claims.validate(leeway=60)
        return claims

    return verify


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
