"""Values of every shape, with tokens in them: what is logged, and what goes to whoever reports errors."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import msgspec

from bearerwatch import redact_text
from redact.corpus.carriers_data import KEYS
from redact.corpus.values import Mint
from soak.mixes import ALIKE, Mixer, Secret, survivors

__all__ = ["Odd", "Things"]


@dataclasses.dataclass
class _Record:
    name: str
    held: Any
    more: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Frozen:
    held: Any


class _Pair(NamedTuple):
    name: str
    value: Any


class _Struct(msgspec.Struct):
    held: Any
    count: int = 3


class _Shade(enum.Enum):
    LIGHT = "light"


class _Text(str):
    __slots__ = ()


class _Shown:
    """Shows what it holds only when it is shown."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __repr__(self) -> str:
        return f"<Shown {self._held!r}>"


class Odd:
    """Cannot be shown, compared, hashed or measured."""

    def _fail(self, *_: object) -> Any:
        raise RuntimeError("not today")

    __repr__ = __str__ = __eq__ = __len__ = __iter__ = __bool__ = _fail
    __hash__ = None  # type: ignore[assignment]


_SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 10**30, -(10**300), 1.5, float("nan"), float("inf"), 2 + 3j, "", b"", "ada", b"\xff\0"),
    *(decimal.Decimal("1.50"), dt.date(2026, 3, 1), dt.timedelta(3), uuid.UUID(int=7), pathlib.PurePath("/srv/x")),
    *(range(3), slice(1, 2), Ellipsis, int, len, _Shade.LIGHT, object, NotImplemented, memoryview(b"seen"), bytearray(b"seen")),
)  # fmt: skip
_NAMES = (
    "id",
    "user",
    "path",
    "headers",
    "data",
    "n",
    "x-request-id",
    "status",
    "message",
    "page",
    "übung",
    "",
    "a b",
    7,
    None,
    (1, 2),
)
_WITHIN: tuple[Callable[[Any], Any], ...] = (
    lambda held: [held],
    lambda held: (held,),
    lambda held: [1, held, "x"],
    lambda held: {"data": held},
    lambda held: OrderedDict(data=held),
    lambda held: defaultdict(list, data=held),
    lambda held: MappingProxyType({"data": held}),
    lambda held: deque([held], 3),
    lambda held: _Record("x", held),
    _Frozen,
    lambda held: _Pair("x", held),
    _Struct,
    lambda held: {"headers": [("Accept", "*/*"), ("X-Seen", held)]},
    lambda held: {"name": "seen", "value": held},
)


class Things:
    """Makes values of every shape, and notes the secrets in them that stand whole; each call makes another one.

    Args:
        mixer: makes the texts in them.
        objects: whether some show what they hold only when they are shown, as exceptions do.
    """

    def __init__(self, mixer: Mixer, *, objects: bool) -> None:
        self._mixer = mixer
        self.objects = objects
        self.rng = mixer.rng
        self._mint = Mint(self.rng.getrandbits(40))
        self.secrets: list[Secret] = []

    def __call__(self, depth: int = 3) -> Any:
        """Any value."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.4:
            return self.leaf()
        if rng.random() < 0.05:
            return self.deep()
        if rng.random() < 0.5:
            return rng.choice(_WITHIN)(self(depth - 1))
        some = [self(depth - 1) for _ in range(rng.randrange(5))]
        if rng.random() < 0.4:
            return rng.choice((list, tuple, deque))(some)
        made = {rng.choice(_NAMES): one for one in some}
        return made | self.named() if rng.random() < 0.5 else made

    def leaf(self) -> Any:
        """A value that holds no others, or shows none."""
        rng, kind = self.rng, self.rng.random()
        if kind < 0.3:
            return rng.choice(_SCALARS)
        if kind < 0.5:
            return rng.choice((str, str.encode, _Text, Exception))(rng.choice(ALIKE))
        if kind < 0.6:
            return self._mixer.junk()
        mix = self._mixer.line()
        while survivors(mix.secrets, redact_text(repr([repr([mix.text])]))):  # what holds it is shown, and holds more
            mix = self._mixer.line()
        self.secrets += mix.secrets
        ways: tuple[Callable[[str], Any], ...] = (str, _Text)
        if self.objects:
            ways += (ValueError, _Shown)
        if mix.text.isascii():
            ways += (str.encode, lambda text: bytearray(text, "ascii"))
        return rng.choice(ways)(mix.text)

    def named(self) -> dict[Any, Any]:
        """A secret that nothing but its name tells."""
        secret = self._mint.chars("a", 40)
        self.secrets.append(self._mixer.secret(secret))
        return {self.rng.choice(KEYS): secret}

    def deep(self) -> Any:
        """What is nested without an end in sight, or holds itself."""
        rng, made = self.rng, self.leaf()
        if rng.random() < 0.3:
            whole: list[Any] = [made]
            whole.append({"again": whole})
            return whole
        if rng.random() < 0.3:
            return [made] * rng.choice((20, 300))
        for _ in range(rng.choice((10, 50, 200))):
            made = rng.choice(_WITHIN)(made)
        return SimpleNamespace(held=made) if rng.random() < 0.1 else made
