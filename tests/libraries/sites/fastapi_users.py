"""An API on fastapi-users with its JWT strategy; users are kept by a database adapter of the application's own."""

# ruff: noqa: B008, FAST002 - what is local cannot stand in an annotation that is a string

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase

from bearerwatch.asgi import BearerwatchMiddleware
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, SECRET, jwts


@dataclass
class User:
    id: int
    email: str
    hashed_password: str = "x"
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = True


USERS = {41: User(41, "bob@example.test"), 7: User(7, "eve@example.test", is_active=False)}


class Users(BaseUserDatabase[User, int]):
    async def get(self, id: int) -> User | None:  # noqa: A002 - as the library has it
        return USERS.get(id)


class Manager(IntegerIDMixin, BaseUserManager[User, int]):
    pass


async def get_user_manager() -> Any:
    yield Manager(Users())


def get_jwt_strategy() -> JWTStrategy[User, int]:
    return JWTStrategy(secret=SECRET, lifetime_seconds=3600, token_audience=[AUDIENCE])


def application(name: str, get_strategy: Any) -> FastAPI:
    backend = AuthenticationBackend(
        name=name, transport=BearerTransport(tokenUrl="auth/login"), get_strategy=get_strategy
    )
    users = FastAPIUsers[User, int](get_user_manager, [backend])
    active, superuser = users.current_user(active=True), users.current_user(active=True, superuser=True)
    app = FastAPI()
    app.add_middleware(BearerwatchMiddleware)

    @app.get("/orders")
    async def orders(user: User = Depends(active)) -> Any:
        return {"orders": [], "of": user.id}

    @app.get("/orders/of/{owner}")
    async def orders_of(owner: int, user: User = Depends(active)) -> Any:
        if owner != user.id:
            raise HTTPException(403)
        return {"orders": []}

    @app.get("/all")
    async def everybodys(_user: User = Depends(superuser)) -> Any:
        return {"orders": []}

    return app


def stacks() -> dict[str, tuple[str, Any]]:
    return {"async": ("asgi", application("jwt", get_jwt_strategy))}


def asks() -> dict[str, Ask | NotThere]:
    tokens = jwts()
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "wrong issuer": NotThere("its strategy asks for no issuer"),
        "revoked": NotThere("its JWTs cannot be withdrawn"),
        "too little scope": Ask.bearer(good, "/all"),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
