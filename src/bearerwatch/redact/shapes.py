"""How containers and objects are taken apart and put together again, without asking them more than needed.

A type of the application's may do anything in its methods, so the storage of a ``dict`` or a tuple is read directly
where it is one. Attributes are those a class declares: of dataclasses, attrs, msgspec's and pydantic's models, none
of which is imported here. https://docs.python.org/3/library/dataclasses.html,
https://www.attrs.org/en/stable/extending.html, https://docs.pydantic.dev/latest/concepts/models/
"""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import force_setattr

__all__ = ["Shape", "changed", "fields_of", "pairs_of", "rebuilt", "remade", "shape_of"]

_MOST_TYPES = 2048
_MISSING = object()


class Shape(NamedTuple):
    """What a type is to redaction."""

    kind: str
    """``text bytes number mapping sequence fields`` or ``other``."""
    names: tuple[str, ...] = ()
    """Of fields, in order."""


_OTHER = Shape("other")
_shapes: dict[type, Shape] = {
    str: Shape("text"),
    int: Shape("number"),
    float: Shape("number"),
    bool: _OTHER,
    type(None): _OTHER,
    bytes: Shape("bytes"),
    dict: Shape("mapping"),
    list: Shape("sequence"),
    tuple: Shape("sequence"),
}


def shape_of(kind: type) -> Shape:
    """What values of the type *kind* are; remembered, for programs have few types."""
    found = _shapes.get(kind)
    if found is None:
        if len(_shapes) >= _MOST_TYPES:
            return _shape(kind)
        found = _shapes[kind] = _shape(kind)
    return found


def _shape(kind: type) -> Shape:
    if issubclass(kind, str):
        return Shape("text")
    if issubclass(kind, bytes | bytearray | memoryview):
        return Shape("bytes")
    if issubclass(kind, int | float):
        return Shape("number")
    names = _declared(kind)
    if issubclass(kind, tuple | list | set | frozenset | deque):
        return Shape("sequence", names if issubclass(kind, tuple) else ())
    if issubclass(kind, Mapping) or hasattr(kind, "to_wsgi_list"):  # werkzeug's headers are no Mapping
        return Shape("mapping")
    if names or issubclass(kind, SimpleNamespace):
        return Shape("fields", names)
    return _OTHER


def _declared(kind: type) -> tuple[str, ...]:
    for attribute in ("__dataclass_fields__", "__struct_fields__", "__pydantic_fields__", "_fields"):
        declared = getattr(kind, attribute, None)
        if isinstance(declared, dict | tuple | list) and all(isinstance(name, str) for name in declared):
            return tuple(declared)
    declared = getattr(kind, "__attrs_attrs__", None)
    if isinstance(declared, tuple):
        return tuple(str(attribute.name) for attribute in declared)
    return ()


def pairs_of(value: Any, most: int) -> tuple[list[tuple[Any, Any]], int]:
    """At most so many names and values of a mapping, and how many more there are."""
    if isinstance(value, dict) and dict.__len__(value) == len(value):  # else it keeps them elsewhere
        return list(islice(dict.items(value), most)), max(dict.__len__(value) - most, 0)
    pairs = [(name, item) for name, item in islice(value.items(), most)]
    return pairs, max(len(value) - len(pairs), 0)


def fields_of(value: Any, names: Sequence[str]) -> list[tuple[str, Any]]:
    """The fields of an object that are set, with what a pydantic model or a namespace has beyond those declared."""
    found = [(name, item) for name in names if (item := getattr(value, name, _MISSING)) is not _MISSING]
    if isinstance(value, SimpleNamespace):
        return list(value.__dict__.items())
    extra = getattr(value, "__pydantic_extra__", None)
    return found + list(extra.items()) if isinstance(extra, dict) else found


def remade(value: Any, pairs: Iterable[tuple[Any, Any]]) -> Any:
    """A mapping like *value*, which stays as it is, of *pairs*; a dict where it cannot be of that type."""
    collected: dict[Any, Any] = {}
    doubled: set[Any] = set()
    for name, item in pairs:
        if name not in collected:
            collected[name] = item
        elif isinstance(name, str | bytes) and isinstance(value, dict):  # two tokens of one fingerprint
            number = 2
            while (other := _numbered(name, number)) in collected:
                number += 1
            collected[other] = item
        elif name in doubled:
            collected[name].append(item)
        else:
            doubled.add(name)
            collected[name] = [collected[name], item]  # headers may be repeated
    if isinstance(value, MappingProxyType):
        return MappingProxyType(collected)
    if type(value) is dict or not isinstance(value, dict) or dict.__len__(value) != len(value):
        return collected
    made = copy.copy(value)
    if made is value or type(made) is not type(value):
        return collected
    owner: Any = OrderedDict if isinstance(made, OrderedDict) else dict
    owner.clear(made)
    for name, item in collected.items():
        owner.__setitem__(made, name, item)
    return made


def _numbered(name: str | bytes, number: int) -> str | bytes:
    return f"{name} #{number}" if isinstance(name, str) else name + f" #{number}".encode()


def rebuilt(value: Any, items: list[Any]) -> Any:
    """A sequence or set like *value* of *items*."""
    if isinstance(value, tuple):
        return tuple.__new__(type(value), items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, deque):
        return deque(items, value.maxlen)
    if isinstance(value, list):
        return items
    return set(items) if isinstance(value, set) else frozenset(items)


def changed(value: Any, changes: dict[str, Any]) -> Any:
    """A copy of an object with other values in some fields; no constructor and no validator is run.

    Where it cannot be copied, a dict of *changes*.
    """
    made = copy.copy(value)
    if made is value or type(made) is not type(value):
        return dict(changes)
    setter: Callable[[Any, str, Any], None] = force_setattr if isinstance(made, Struct) else object.__setattr__
    extra = getattr(made, "__pydantic_extra__", None)
    for name, item in changes.items():
        if isinstance(extra, dict) and name in extra:
            extra[name] = item
        elif hasattr(type(made), "__pydantic_fields__"):
            made.__dict__[name] = item
        else:
            setter(made, name, item)
    return made
