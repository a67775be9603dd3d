"""What traffic and attacks share: the services, the client, the wallet, and the few calls everybody makes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bearerwatch.demo.client import Answer, Api, Client, Origin
from bearerwatch.demo.wallet import Held, Wallet
from bearerwatch.errors import BearerwatchError

__all__ = ["BENIGN", "World", "together"]

BENIGN = "benign"
"""Label of every request that is no part of an attack."""


@dataclass(slots=True)
class World:
    """The stage."""

    django: Api
    flask: Api
    fastapi: Api
    client: Client
    wallet: Wallet
    random: random.Random

    @property
    def apis(self) -> tuple[Api, Api, Api]:
        """All services."""
        return self.django, self.flask, self.fastapi

    async def login(
        self, api: Api, name: str, origin: Origin, *, label: str = BENIGN, seconds: int | None = None
    ) -> Held:
        """Log in with the right password.

        Raises:
            BearerwatchError: the service did not answer 200.
        """
        body: dict[str, object] = {"username": name, "password": f"{name}-in-wonderland"}
        if seconds is not None:
            body["expires_in"] = seconds
        answer = await self.client(api, "POST", "/login", origin=origin, label=label, body=body)
        return self.wallet.keep(f"{name}'s JWT for {api.service}", _good(answer, api, "/login")["access_token"])

    async def orders(self, api: Api, held: Held, origin: Origin, *, label: str = BENIGN) -> list[int]:
        """The numbers of the holder's own orders.

        Raises:
            BearerwatchError: the service did not answer 200.
        """
        answer = await self.client(api, "GET", "/orders", origin=origin, label=label, held=held)
        return [int(order["id"]) for order in _good(answer, api, "/orders")]

    async def key(self, api: Api, held: Held, origin: Origin, *, label: str = BENIGN) -> Held:
        """Ask for an opaque key.

        Raises:
            BearerwatchError: the service did not answer 201.
        """
        answer = await self.client(api, "POST", "/keys", origin=origin, label=label, held=held)
        owner = held.label.partition("'")[0]
        return self.wallet.keep(f"{owner}'s opaque key for {api.service}", _good(answer, api, "/keys")["api_key"])


def _good(answer: Answer, api: Api, path: str) -> Any:
    if answer.status not in (200, 201) or not answer.complete:
        raise BearerwatchError(f"{api.service} answered {path} with {answer.status}: see its log")
    return answer.json()


async def together(jobs: Iterable[Callable[[], Awaitable[object]]], *, at_once: int) -> None:
    """Run *jobs*, so many at a time, begun in their order."""
    queue = iter(list(jobs))

    async def worker() -> None:
        for job in queue:
            await job()

    await asyncio.gather(*(worker() for _ in range(at_once)))
