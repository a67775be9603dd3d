"""Units (rules, channels, sinks, integrations) are found by file name: there is no list to edit."""

from __future__ import annotations

import pkgutil
from importlib import import_module, resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load", "names"]


def names(package: str) -> list[str]:
    """Names of the units in *package*, sorted. A leading underscore hides a module."""
    root = resources.files(package)
    found = [m.name for m in pkgutil.iter_modules([str(root)]) if not m.name.startswith("_")]
    return sorted(found)


def load(package: str, name: str) -> ModuleType:
    """Import one unit and nothing beside it.

    Raises:
        LookupError: there is no such unit; the message lists those there are.
    """
    known = names(package)
    if name not in known:
        raise LookupError(f"no {package.rsplit('.', 1)[-1]} unit called {name!r}; there are: {', '.join(known)}")
    return import_module(f"{package}.{name}")
