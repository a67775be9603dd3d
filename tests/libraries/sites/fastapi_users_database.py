"""The same with opaque tokens, which its database strategy looks up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi_users.authentication.strategy.db import AccessTokenDatabase, DatabaseStrategy

from fakes import opaque
from libraries.cases import Ask, NotThere
from libraries.sites.fastapi_users import application

OPAQUE = "an opaque token has nothing to check but whether it is known"


@dataclass
class AccessToken:
    token: str
    user_id: int
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


TOKENS = {
    name: AccessToken(opaque(43), owner)
    for name, owner in {"good": 41, "old": 41, "withdrawn": 41, "closed": 7, "nobody's": 8}.items()
}
TOKENS["old"].created_at -= timedelta(hours=2)


class Tokens(AccessTokenDatabase[Any]):
    async def get_by_token(self, token: str, max_age: datetime | None = None) -> AccessToken | None:
        for name, one in TOKENS.items():
            if one.token == token and name != "withdrawn" and (max_age is None or one.created_at >= max_age):
                return one
        return None


def get_strategy() -> Any:
    return DatabaseStrategy(Tokens(), lifetime_seconds=3600)


def stacks() -> dict[str, tuple[str, Any]]:
    return {"async": ("asgi", application("database", get_strategy))}


def asks() -> dict[str, Ask | NotThere]:
    good, unknown = TOKENS["good"].token, opaque(43)
    return {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "malformed": Ask.bearer("no!token"),
        "bad signature": NotThere(OPAQUE),
        "alg none": NotThere(OPAQUE),
        "unknown key": Ask.bearer(unknown),
        "wrong issuer": NotThere(OPAQUE),
        "wrong audience": NotThere(OPAQUE),
        "not yet valid": NotThere(OPAQUE),
        "expired": Ask.bearer(TOKENS["old"].token),
        "revoked": Ask.bearer(TOKENS["withdrawn"].token),
        "too little scope": Ask.bearer(good, "/all"),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "success": Ask.bearer(good),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={unknown}"),
        "query token": Ask(query=f"access_token={good}"),
    }
