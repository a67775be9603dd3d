"""Who and what there is in the shop. The same on every machine: nothing here is drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ORDERS", "SCOPES", "USERS", "Order", "User"]

SCOPES = ("orders:read", "orders:write", "export:read", "reports:read")
_GOODS = ("kettle", "lamp", "desk", "chair", "notebook", "backpack", "bicycle pump", "teapot")
_STATES = ("placed", "packed", "shipped", "delivered")


@dataclass(frozen=True)
class User:
    """One customer or member of staff."""

    name: str
    scope: str

    @property
    def password(self) -> str:
        """A demonstration password, the same for everybody who reads this file."""
        return f"{self.name}-in-wonderland"


@dataclass(frozen=True)
class Order:
    """One order and whose it is."""

    id: int
    owner: str
    item: str
    quantity: int
    status: str


_CUSTOMER = "orders:read orders:write export:read"
_READER = "orders:read"

USERS: tuple[User, ...] = (
    User("ada", " ".join(SCOPES)),  # staff: the only one with reports:read
    User("bela", _CUSTOMER),
    User("cleo", _CUSTOMER),
    User("dora", _CUSTOMER),
    User("emil", _CUSTOMER),
    User("finn", _CUSTOMER),
    User("gita", _READER),
    User("hugo", _READER),
    User("iris", _CUSTOMER),
    User("jona", _CUSTOMER),
)

ORDERS: tuple[Order, ...] = tuple(
    Order(
        id=1001 + n,
        owner=USERS[n % len(USERS)].name,
        item=_GOODS[n * 5 % len(_GOODS)],
        quantity=1 + n * 7 % 4,
        status=_STATES[n * 3 % len(_STATES)],
    )
    for n in range(200)
)
