"""Benign traffic: people at work, scripts, health checks, and all the small failures of an ordinary day.

Nothing of it may raise an alert. So it contains what careless rules trip over: tokens that expire in use, a
reader who tries to write, a phone that changes networks, several people behind one address, links without a
token, downloads broken off, somebody who mistypes a password.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable

from bearerwatch.demo.client import Api, Origin
from bearerwatch.demo.wallet import Held
from bearerwatch.demo.world import BENIGN, World

__all__ = ["Benign"]

_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"
_PHONE = "ShopApp/4.2 (iPhone; iOS 18.5)"
_SCRIPT = "python-requests/2.32"
_OFFICE = "192.0.2.40"
_PEOPLE = {
    # name: (address, user agent)
    "ada": (_OFFICE, _FIREFOX),
    "bela": (_OFFICE, _FIREFOX),
    "cleo": (_OFFICE, _PHONE),
    "dora": ("192.0.2.11", _PHONE),
    "emil": ("192.0.2.12", _FIREFOX),
    "finn": ("2001:db8:1::13", _PHONE),
    "gita": ("192.0.2.14", _FIREFOX),
}


class Benign:
    """Ordinary life on all three services.

    Args:
        world: the stage.
        pace: mean seconds between two requests of one person.
    """

    def __init__(self, world: World, *, pace: float = 0.35) -> None:
        self._world = world
        self._pace = pace
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let everybody finish what they are doing."""
        self._stop.set()

    async def __call__(self) -> None:
        """Go on until stopped."""
        async with asyncio.TaskGroup() as group:
            for place, (name, (address, agent)) in enumerate(_PEOPLE.items()):
                api = self._world.apis[place % 3]
                group.create_task(self._person(name, Origin(address, agent), api))
            for api in self._world.apis:
                group.create_task(self._health_checks(api))
                group.create_task(self._script(api))
            group.create_task(self._traveller())
            group.create_task(self._mishaps())

    async def _pause(self, seconds: float) -> bool:
        """Wait; whether to go on."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return True
        return False

    async def _person(self, name: str, origin: Origin, api: Api) -> None:
        """Logs in for a few seconds at a time, works, and logs in anew when the token has expired."""
        dice = random.Random(f"{self._world.random.random()}{name}")  # noqa: S311 - traffic, not secrets
        lifetime = 7 if name == "dora" else 600
        held = await self._world.login(api, name, origin, seconds=lifetime)
        mine = await self._world.orders(api, held, origin)
        call = self._world.client
        while await self._pause(dice.expovariate(1 / self._pace)):
            path = dice.choice(
                ["/me", "/orders", *[f"/orders/{dice.choice(mine)}"] * 5, f"/quote?items={dice.randint(1, 6)}"]
            )
            answer = await call(api, "GET", path, origin=origin, label=BENIGN, held=held, named=dice.random() < 0.85)
            if answer.status == 401:
                held = await self._world.login(api, name, origin, seconds=lifetime)
            if name != "gita" and dice.random() < 0.06:
                body = {"item": "teapot", "quantity": dice.randint(1, 3)}
                await call(api, "POST", "/orders", origin=origin, label=BENIGN, held=held, body=body)

    async def _health_checks(self, api: Api) -> None:
        origin = Origin("192.0.2.2", "kube-probe/1.33")
        while await self._pause(1.0):
            await self._world.client(api, "GET", "/health", origin=origin, label=BENIGN, named=False)

    async def _script(self, api: Api) -> None:
        """Jona's nightly job with an opaque key: exports, over and over; one in six is broken off."""
        origin = Origin("192.0.2.30", _SCRIPT)
        held = await self._world.login(api, "jona", origin)
        key = await self._world.key(api, held, origin)
        call = self._world.client
        number = 0
        while await self._pause(1.3):
            number += 1
            await call(
                api, "GET", "/export", origin=origin, label=BENIGN, held=key,
                in_query=number % 3 == 0, cut_after=200 if number % 6 == 0 else None,
            )  # fmt: skip

    async def _traveller(self) -> None:
        """Iris' phone: a websocket now and then, and another network half-way."""
        world = self._world
        addresses = ("198.51.100.7", "198.51.100.7", "198.51.100.201")
        held = await world.login(world.fastapi, "iris", Origin(addresses[0], _PHONE))
        numbers = [str(n) for n in (await world.orders(world.fastapi, held, Origin(addresses[0], _PHONE)))[:2]]
        number = 0
        while await self._pause(1.6):
            origin = Origin(addresses[number // 3 % 3], _PHONE)
            await world.client.websocket(world.fastapi, "/ws", origin=origin, label=BENIGN, held=held, messages=numbers)
            number += 1

    async def _mishaps(self) -> None:
        """One small failure after the other, none of them twice in a row from the same place."""
        world, call = self._world, self._world.client
        reader = Origin("192.0.2.15", _FIREFOX)
        stranger = Origin("198.51.100.90", "Mozilla/5.0 (compatible; LinkChecker/10)")
        gita = await world.login(world.django, "gita", reader)

        async def get(api: Api, path: str, held: Held | None = None, origin: Origin = reader) -> None:
            await call(api, "GET", path, origin=origin, label=BENIGN, held=held)

        async def refused_socket() -> None:
            await world.client.websocket(world.fastapi, "/ws", origin=stranger, label=BENIGN, held=None, messages=[])

        async def wrong_password() -> None:
            body = {"username": "gita", "password": "gita-in-wonderlnad"}
            await call(world.flask, "POST", "/login", origin=reader, label=BENIGN, body=body)

        async def write_without_scope() -> None:
            body = {"item": "lamp", "quantity": 1}
            await call(world.django, "POST", "/orders", origin=reader, label=BENIGN, held=gita, body=body)

        async def too_many_quotes() -> None:
            held = await world.login(world.flask, "hugo", Origin("192.0.2.16", _SCRIPT))
            for _ in range(22):
                await get(world.flask, "/quote?items=2", held, Origin("192.0.2.16", _SCRIPT))

        async def log_out() -> None:
            held = await world.login(world.fastapi, "gita", reader)
            await call(world.fastapi, "POST", "/logout", origin=reader, label=BENIGN, held=held)

        async def garbled() -> None:
            torn = world.wallet.keep("a token torn in two", f"{secrets.token_hex(12)} {secrets.token_hex(12)}")
            await get(world.fastapi, "/me", torn)

        mishaps: list[Callable[[], Awaitable[None]]] = [
            lambda: get(world.django, "/orders", origin=stranger),  # a link without a token
            lambda: get(world.django, "/orders/9999", gita),  # an order that was deleted
            write_without_scope,
            lambda: get(world.flask, "/favicon.ico", origin=stranger),
            lambda: get(world.django, "/orders/1008", gita),  # somebody else's order, once
            wrong_password,
            lambda: get(world.django, "/quote?items=0", gita),  # the bug everybody knows of
            refused_socket,
            garbled,
            too_many_quotes,
            lambda: get(world.fastapi, "/admin/report", origin=stranger),
            log_out,
            lambda: get(world.django, "/admin/report", gita),
        ]
        number = 0
        while await self._pause(1.1):
            await mishaps[number % len(mishaps)]()
            number += 1
            if number % len(mishaps) == 0 and not await self._pause(8.0):
                return
