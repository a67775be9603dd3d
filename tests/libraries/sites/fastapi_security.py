"""APIs on FastAPI's security utilities and PyJWT, as its documentation has them: OAuth2 scopes, and a bearer alone."""

# ruff: noqa: B008, FAST002 - what is local cannot stand in an annotation that is a string

from __future__ import annotations

from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Security, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer, SecurityScopes

from bearerwatch.asgi import BearerwatchMiddleware
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

USERS = {"41": "bob"}
REVOKED = {"of a session that was ended"}
OAUTH2 = OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "Read orders."})
BEARER = HTTPBearer()


def user_of(security_scopes: SecurityScopes, token: str) -> dict[str, Any]:
    challenge = f'Bearer scope="{security_scopes.scope_str}"' if security_scopes.scopes else "Bearer"
    refusal = HTTPException(
        status_code=status.HTTP_401_UNAUTHORIZED,
        detail="Could not validate credentials",
        headers={"WWW-Authenticate": challenge},
    )
    try:
        payload: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
    except jwt.InvalidTokenError:
        raise refusal from None
    if payload.get("sub") not in USERS:
        raise refusal
    if payload.get("jti") in REVOKED:
        challenge = 'Bearer error="invalid_token", error_description="The token was revoked"'
        raise HTTPException(401, "The token was revoked", headers={"WWW-Authenticate": challenge})
    for scope in security_scopes.scopes:
        if scope not in payload.get("scope", "").split(" "):
            raise HTTPException(
                status_code=status.HTTP_401_UNAUTHORIZED,
                detail="Not enough permissions",
                headers={"WWW-Authenticate": challenge},
            )
    return payload


def user(scopes: SecurityScopes, token: Annotated[str, Depends(OAUTH2)]) -> dict[str, Any]:
    return user_of(scopes, token)


async def user_async(scopes: SecurityScopes, token: Annotated[str, Depends(OAUTH2)]) -> dict[str, Any]:
    return user_of(scopes, token)


def bearer(
    scopes: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials, Depends(BEARER)]
) -> dict[str, Any]:
    return user_of(scopes, credentials.credentials)


async def bearer_async(
    scopes: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials, Depends(BEARER)]
) -> dict[str, Any]:
    return user_of(scopes, credentials.credentials)


def application(current_user: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(BearerwatchMiddleware)

    @app.get("/orders")
    def orders(user: Any = Security(current_user, scopes=["read"])) -> Any:
        return {"orders": [], "of": user["sub"]}

    @app.get("/orders/of/{owner}")
    async def orders_of(owner: str, user: Any = Security(current_user, scopes=["read"])) -> Any:
        if owner != user["sub"]:
            raise HTTPException(status.HTTP_403_FORBIDDEN)
        return {"orders": []}

    return app


def stacks() -> dict[str, tuple[str, Any]]:
    return {
        "sync": ("asgi", application(user)),
        "async": ("asgi", application(user_async)),
        "bearer, sync": ("asgi", application(bearer)),
        "bearer, async": ("asgi", application(bearer_async)),
    }


def asks() -> dict[str, Ask | NotThere]:
    tokens = jwts()
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": Ask.bearer(jwts(jti=min(REVOKED))["success"]),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
