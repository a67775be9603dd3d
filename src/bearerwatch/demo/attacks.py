"""Six attacks, each as an attacker would do it, over HTTP and from several addresses."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from abc import ABC, abstractmethod
from typing import ClassVar

from bearerwatch.demo.client import Api, Origin
from bearerwatch.demo.receiver import Alert
from bearerwatch.demo.wallet import Held
from bearerwatch.demo.world import World, together

__all__ = ["Attack", "all_attacks"]

_CURL = "curl/8.14"
_BOT = "Go-http-client/2.0"
_IDENTITY_KEYS = ("token_id", "presented_id")


class Attack(ABC):
    """One attack and the alert it must raise.

    Args:
        world: the stage.
    """

    name: ClassVar[str]
    story: ClassVar[str]
    """What the attacker does, in one line."""
    rules: ClassVar[tuple[str, ...]]
    """Rules that must alert; the first names the attack."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._addresses: set[str] = set()
        self._token_ids: set[str] = set()

    @property
    def label(self) -> str:
        """Its label in the client's log."""
        return f"attack: {self.name}"

    @abstractmethod
    async def prepare(self) -> None:
        """Come by what the attack needs, by benign requests."""

    @abstractmethod
    async def __call__(self) -> None:
        """Attack."""

    def owns(self, alert: Alert) -> bool:
        """Whether *alert* is about this attack: about an address or a token that it used."""
        key = alert.key
        if "client_ip" in key:
            return key["client_ip"] in self._addresses
        return any(key.get(name) in self._token_ids for name in _IDENTITY_KEYS)

    def _from(self, address: str, agent: str = _CURL) -> Origin:
        self._addresses.add(address)
        return Origin(address, agent)

    def _with(self, held: Held) -> Held:
        self._token_ids.add(self._world.wallet.token_id(held))
        return held

    async def _send(
        self, api: Api, path: str, origin: Origin, held: Held | None = None, *, method: str = "GET", body: object = None
    ) -> int | None:
        answer = await self._world.client(api, method, path, origin=origin, label=self.label, held=held, body=body)
        return answer.status


class BruteForce(Attack):
    """Passwords, until one fits."""

    name = "brute force"
    story = "one address tries passwords for ada until one fits, then uses the token it got (Flask)"
    rules = ("brute_force_address",)

    async def prepare(self) -> None:
        """Nothing."""

    async def __call__(self) -> None:
        """A hundred passwords, then the right one."""
        world, origin = self._world, self._from("203.0.113.10")
        guesses = [secrets.token_hex(4) for _ in range(100)]
        await together(
            [
                lambda guess=guess: self._send(  # type: ignore[misc]  # mypy cannot infer a default
                    world.flask, "/login", origin, method="POST", body={"username": "ada", "password": guess}
                )
                for guess in guesses
            ],
            at_once=4,
        )
        held = self._with(await world.login(world.flask, "ada", origin, label=self.label))
        for path in ("/me", "/orders", "/admin/report"):
            await self._send(world.flask, path, origin, held)


class TokenGuessing(Attack):
    """Tokens made up."""

    name = "token guessing"
    story = "one address makes up opaque keys and JWTs with random signatures, until one token is let in (FastAPI)"
    rules = ("token_guessing", "success_after_failures")

    async def prepare(self) -> None:
        """Dora makes the key that will be hit upon."""
        phone = Origin("192.0.2.11", "ShopApp/4.2")
        held = await self._world.login(self._world.fastapi, "dora", phone)
        self._hit = self._with(await self._world.key(self._world.fastapi, held, phone))

    async def __call__(self) -> None:
        """Eighty tokens, each presented once, then the one that is good."""
        origin = self._from("203.0.113.20", _BOT)
        guesses = [self._with(self._guess(number)) for number in range(80)]
        await together(
            [lambda guess=guess: self._send(self._world.fastapi, "/orders", origin, guess) for guess in guesses],  # type: ignore[misc]
            at_once=4,
        )
        for path in ("/orders", "/export"):
            await self._send(self._world.fastapi, path, origin, self._hit)

    def _guess(self, number: int) -> Held:
        if number % 2:
            return self._world.wallet.keep("guessed opaque key", "shopkey_" + secrets.token_urlsafe(32))
        claims = {"iss": "https://login.shop.example", "sub": "ada", "jti": secrets.token_hex(8), "exp": 4102444800}
        parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "at+jwt"}, claims)]
        head, body = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        return self._world.wallet.keep("guessed JWT", f"{head}.{body}.{secrets.token_urlsafe(32)}")


class TokenSharing(Attack):
    """A stolen token, passed around."""

    name = "token sharing"
    story = "emil's stolen token is used from thirty addresses (Django)"
    rules = ("token_sharing",)

    async def prepare(self) -> None:
        """Emil logs in at home."""
        held = await self._world.login(self._world.django, "emil", Origin("192.0.2.12", "Mozilla/5.0"))
        self._held = self._with(held)

    async def __call__(self) -> None:
        """Two requests from each address."""
        origins = [self._from(f"198.51.100.{100 + n}", _BOT) for n in range(30)]
        await together(
            [
                lambda origin=origin, path=path: self._send(self._world.django, path, origin, self._held)  # type: ignore[misc]
                for origin in origins
                for path in ("/me", "/orders")
            ],
            at_once=3,
        )


class RequestBurst(Attack):
    """One token, as fast as it goes."""

    name = "request burst"
    story = "a leaked opaque key of cleo's is used as fast as it goes, from three addresses (Flask)"
    rules = ("request_burst",)

    async def prepare(self) -> None:
        """Cleo makes a key."""
        phone = Origin("192.0.2.17", "ShopApp/4.2")
        held = await self._world.login(self._world.flask, "cleo", phone)
        self._held = self._with(await self._world.key(self._world.flask, held, phone))

    async def __call__(self) -> None:
        """Seven hundred requests."""
        origins = [self._from(f"203.0.113.{30 + n}", _BOT) for n in range(3)]
        await together(
            [
                lambda number=number: self._send(self._world.flask, "/me", origins[number % 3], self._held)  # type: ignore[misc]
                for number in range(700)
            ],
            at_once=8,
        )


class ObjectEnumeration(Attack):
    """Other people's orders, one after the other."""

    name = "object enumeration"
    story = "hugo, with a good token of his own, walks through the order numbers (Django)"
    rules = ("object_enumeration",)

    async def prepare(self) -> None:
        """Hugo logs in."""
        held = await self._world.login(self._world.django, "hugo", Origin("203.0.113.40", _CURL))
        self._held = self._with(held)

    async def __call__(self) -> None:
        """Ninety numbers: his own, other people's, and some that do not exist."""
        origin = self._from("203.0.113.40")
        numbers = [*range(1001, 1081), *range(1301, 1311)]
        await together(
            [
                lambda number=number: self._send(self._world.django, f"/orders/{number}", origin, self._held)  # type: ignore[misc]
                for number in numbers
            ],
            at_once=3,
        )


class TokenReplay(Attack):
    """Tokens that are good no more."""

    name = "token replay"
    story = "a revoked and an expired token from an old log are tried on every route (FastAPI)"
    rules = ("revoked_token_use", "expired_token_use")

    async def prepare(self) -> None:
        """Finn logs out; another of his tokens expires."""
        world, home = self._world, Origin("2001:db8:1::13", "ShopApp/4.2")
        self._expired = self._with(await world.login(world.fastapi, "finn", home, seconds=1))
        self._revoked = self._with(await world.login(world.fastapi, "finn", home))
        await world.client(world.fastapi, "POST", "/logout", origin=home, label="benign", held=self._revoked)
        await asyncio.sleep(2)

    async def __call__(self) -> None:
        """Both tokens on five routes, three times over, from two addresses."""
        origins = [self._from("203.0.113.50"), self._from("203.0.113.51")]
        paths = ("/me", "/orders", "/export", "/orders/1001", "/admin/report")
        for turn in range(3):
            for path in paths:
                for held in (self._revoked, self._expired):
                    await self._send(self._world.fastapi, path, origins[turn % 2], held)


def all_attacks(world: World) -> list[Attack]:
    """The six, in the order they are shown."""
    kinds = (BruteForce, TokenGuessing, TokenSharing, RequestBurst, ObjectEnumeration, TokenReplay)
    return [kind(world) for kind in kinds]
