"""Redaction of values that are no text yet: dicts and objects read with their names, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice
from typing import Any

from bearerwatch import _guard
from bearerwatch.redact.engine import PLACEHOLDER, find, redact_text
from bearerwatch.redact.keyed import DENIED, REDACTED, held_by, holds_number, inherited, keyed_text
from bearerwatch.redact.names import NONE
from bearerwatch.redact.shapes import Shape, changed, fields_of, pairs_of, rebuilt, remade, shape_of

__all__ = ["Structure", "redact_value"]

Replace = Callable[[tuple[str, ...], Any], Any]
"""Given the names that lead to a value, and the value: what to log instead, or ``None`` to leave it to us."""

_CYCLE = "[contains itself]"
_NAME = re.compile(r"[^a-z0-9]+")
_NAMES = frozenset({"name", "key", "header", "field", "n", "k"})
_VALUES = frozenset({"value", "values", "val", "v", "content", "text"})
_MAX_NAME = 64
_MOST_JOINED = 64
_LONGEST_JOINED = 4096
_SHALLOW = 6
_SCALARS = frozenset({int, float, bool, type(None)})


def _folded(name: str) -> str:
    return _NAME.sub("", name.lower())


class Structure:
    """Takes the tokens out of dicts, lists, sets, dataclasses, attrs classes, msgspec's and pydantic's models.

    A value under a secret's name goes even if nothing else would tell it: ``{"token": ["...", "..."]}``,
    ``("Authorization", "...")``, ``{"name": "Authorization", "value": "..."}``. What is plainly written, a flag, or
    a number stays. Generators are not consumed, and objects that declare no fields are left to whoever shows them.

    Args:
        deny: names whose values are never shown, beyond those known; case and punctuation do not count.
        allow: names that say nothing: values under them are redacted by their form alone.
        replace: asked first about every value, with the names that lead to it; ``None`` leaves it to us. What it
            gives is taken as it is.
        depth: levels that are looked into; a note stands for what is nested deeper. By default 32.
        size: values that are looked at, all in all; a note stands for those beyond. By default 10,000.
    """

    def __init__(
        self,
        *,
        deny: Iterable[str] = (),
        allow: Iterable[str] = (),
        replace: Replace | None = None,
        depth: int = 32,
        size: int = 10_000,
    ) -> None:
        self._deny = frozenset(map(_folded, deny))
        self._allow = frozenset(map(_folded, allow)) - self._deny
        self.replace = replace
        self.depth = depth
        self.size = size

    def __call__(self, value: Any) -> Any:
        """A copy of *value* without tokens, or *value* itself when it holds none. The caller's is never changed.

        What cannot be looked at, because a method of its own fails, is ``[redaction-error]``.
        """
        if self.replace is None:
            if type(value) is str:
                return redact_text(value)
            texts: list[str] = []
            if self._gather(value, "", texts, min(self.depth, _SHALLOW)) and not find("\n".join(texts)):
                return value
        walk = _Walk(self)
        clean = walk(value)
        if clean is not value and walk.cyclic:  # what refers back to *value* must not refer to the caller's
            clean = _Walk(self, cut=True)(value)
        return clean

    def held(self, name: str) -> int:
        """What a field called *name* holds; see :func:`bearerwatch.redact.names.secret_name`."""
        if self._deny or self._allow:
            folded = _folded(name)
            if folded in self._deny:
                return DENIED
            if folded in self._allow:
                return NONE
        return held_by(name)

    def allowed(self, name: str) -> bool:
        """Whether *name* says nothing, because the application says so."""
        return bool(self._allow) and _folded(name) in self._allow

    def _gather(self, value: Any, name: str, texts: list[str], levels: int) -> bool:
        """All of a small and simple value in *texts*, for one look at it; ``False`` if it is to be walked through.

        Most of what is logged is of that kind and holds nothing.
        """
        kind = type(value)
        if kind is str or kind in _SCALARS:
            texts += _joined(name, value) if kind is str else (name,)
            return len(texts) <= min(self.size, _MOST_JOINED) and (kind is not str or len(value) <= _LONGEST_JOINED)
        if levels == 0 or len(texts) > _MOST_JOINED:
            return False
        if kind is dict:
            if len(value) > _MOST_JOINED or _pair_name(pairs := list(value.items())) is not None:
                return False
            for key, item in pairs:
                if type(key) is not str or (item is not None and type(item) is not bool and self.held(key)):
                    return False
                if type(item) is str and len(item) <= _LONGEST_JOINED:
                    texts += _joined(key, item)
                elif type(item) in _SCALARS:
                    texts.append(key)
                elif not self._gather(item, key, texts, levels - 1):
                    return False
            return len(texts) <= min(self.size, _MOST_JOINED)
        if kind is list or kind is tuple:
            if len(value) > _MOST_JOINED or (len(value) == 2 and type(value[0]) is not int):  # a pair, perhaps
                return False
            texts.append(name)
            return all(self._gather(item, name, texts, levels - 1) for item in value)
        return False


redact_value = Structure()
"""A copy of a value without tokens, or the value itself when it holds none: the default :class:`Structure`."""


class _Walk:
    """One look through one value."""

    __slots__ = ("_cut", "_left", "_open", "_path", "_seen", "_structure", "cyclic")

    def __init__(self, structure: Structure, *, cut: bool = False) -> None:
        self._structure = structure
        self._cut = cut
        self._left = structure.size
        self._open: set[int] = set()
        self._path: list[str] = []
        self._seen: dict[tuple[int, str, int], tuple[Any, Any]] = {}
        self.cyclic = False

    def __call__(self, value: Any, name: str = "", held: int = NONE) -> Any:
        """*value*, which stands under *name*, without its tokens."""
        try:
            shape = shape_of(type(value))
            if shape.kind in ("mapping", "sequence", "fields"):
                return self._container(value, shape, name, held)
            return _leaf(value, shape.kind, name, held)
        except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
            _guard.swallowed("redaction of a value", error)
            return PLACEHOLDER

    def _container(self, value: Any, shape: Shape, name: str, held: int) -> Any:
        here = id(value)
        if here in self._open:
            self.cyclic = True
            return _CYCLE if self._cut else value
        if len(self._open) >= self._structure.depth:
            return f"[nested deeper than {self._structure.depth} levels]"
        known = self._seen.get((here, name, held))
        if known is not None:
            return known[1]
        self._open.add(here)
        try:
            if shape.kind == "mapping":
                clean = self._mapping(value, held)
            elif shape.kind == "fields" or shape.names:
                clean = self._fields(value, shape, held)
            else:
                clean = self._sequence(value, name, held)
        finally:
            self._open.discard(here)
        self._seen[here, name, held] = (value, clean)  # which keeps *value*, so that its id stays its own
        return clean

    def _mapping(self, value: Any, held: int) -> Any:
        pairs, more = pairs_of(value, max(self._left, 0))
        self._left -= len(pairs)
        cleaned = [(self._key(key), item) for key, item in self._named(pairs, held)]
        if not more and all(a is c and b is d for (a, b), (c, d) in zip(cleaned, pairs, strict=True)):
            return value
        if more:
            cleaned.append(("…", f"[{more} more]"))
        return remade(value, cleaned)

    def _fields(self, value: Any, shape: Shape, held: int) -> Any:
        pairs = fields_of(value, shape.names)
        self._left -= len(pairs)
        if self._left < 0:
            return f"[more than {self._structure.size} values]"
        changes = {
            key: clean
            for (key, clean), (_, before) in zip(self._named(pairs, held), pairs, strict=True)
            if clean is not before
        }
        if not changes:
            return value
        if isinstance(value, tuple):
            return rebuilt(value, [changes.get(key, item) for key, item in pairs])
        made = changed(value, changes)
        return {**dict(pairs), **changes} if type(made) is dict else made

    def _named(self, pairs: list[tuple[Any, Any]], held: int) -> list[tuple[Any, Any]]:
        """*pairs* with their values cleaned, each read together with its name."""
        named = _pair_name(pairs)
        found = []
        for key, item in pairs:
            name = _name_of(key)
            if named is not None and name.lower() in _VALUES:
                clean = self._inner(item, name, named, self._structure.held(named))
            else:
                own = self._structure.held(name) if name else NONE
                passed = own or (inherited(name, held) if held and not self._structure.allowed(name) else NONE)
                if self._structure.allowed(name):
                    clean = self._inner(item, name, "", NONE)
                else:
                    clean = self._inner(item, name, name, passed)
            found.append((key, clean))
        return found

    def _sequence(self, value: Any, name: str, held: int) -> Any:
        most = max(self._left, 0)
        items = list(islice(value, most))
        more = len(value) - len(items)
        self._left -= len(items)
        if len(items) == 2 and isinstance(value, tuple | list) and isinstance(items[0], str | bytes):
            first = _name_of(items[0])
            own = self._structure.held(first) if first else NONE
            if own:  # a pair, as headers are
                cleaned = [self._inner(items[0], "0", name, held), self._inner(items[1], first, first, own)]
            else:
                cleaned = [self._inner(item, str(at), name, held) for at, item in enumerate(items)]
        else:
            cleaned = [self._inner(item, str(at), name, held) for at, item in enumerate(items)]
        if not more and all(a is b for a, b in zip(cleaned, items, strict=True)):
            return value
        if more:
            cleaned.append(f"[{more} more]")
        return rebuilt(value, cleaned)

    def _inner(self, item: Any, step: str, name: str, held: int) -> Any:
        replace = self._structure.replace
        if replace is None:
            return self(item, name, held)
        self._path.append(step)
        try:
            decided = None
            try:
                decided = replace(tuple(self._path), item)
            except Exception as error:  # noqa: BLE001 - host boundary: a callback of theirs that fails decides nothing
                _guard.swallowed("a replace callback", error)
            return self(item, name, held) if decided is None else decided
        finally:
            self._path.pop()

    def _key(self, key: Any) -> Any:
        return self(key) if isinstance(key, str | bytes | tuple | frozenset) else key


def _joined(name: str, text: str) -> tuple[str, ...]:
    """*text* with its name, and alone where it may be a line, whose beginning tells as well."""
    return (f"{name}={text}", text) if " " in text else (f"{name}={text}",)


def _pair_name(pairs: list[tuple[Any, Any]]) -> str | None:
    """The name in ``{"name": "Authorization", "value": ...}``, as HAR has it."""
    if not 2 <= len(pairs) <= 12:  # HAR's have a comment, cookies a domain and a date besides
        return None
    named, valued = None, False
    for key, item in pairs:
        if type(key) is str:
            low = key.lower()
            if low in _NAMES and isinstance(item, str | bytes):
                named = _name_of(item) or named
            valued = valued or low in _VALUES
    return named if valued else None


def _name_of(key: Any) -> str:
    if isinstance(key, Enum):
        key = key.value if isinstance(key.value, str) else key.name
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    return str.__str__(key) if isinstance(key, str) and len(key) <= _MAX_NAME else ""


def _leaf(value: Any, kind: str, name: str, held: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if kind == "text":
        text = str.__str__(value)  # not what a subclass shows instead
        clean = keyed_text(text, name, held)
        return value if clean == text else clean
    if kind == "bytes":
        text = bytes(value).decode("latin-1")
        clean = keyed_text(text, name, held)
        if clean == text:
            return value
        raw = clean.encode("latin-1", "replace")
        return raw if isinstance(value, bytes) else type(value)(raw)
    if not held:
        return value
    if kind == "number":
        shown = holds_number(value, held)
        return value if shown is None else shown
    if held == DENIED:
        return REDACTED
    text = str(value)  # a UUID, a Secret, or whatever will be shown
    if text.startswith("<"):
        return value
    clean = keyed_text(text, name, held)
    return value if clean == text else clean
