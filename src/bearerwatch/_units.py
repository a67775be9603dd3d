"""Units (rules, channels, sinks, integrations) are found by file name: there is no list to edit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load", "names"]


def names(package: str) -> list[str]:
    """Names of the units in *package*, sorted. A leading underscore hides a module."""
    import pkgutil  # noqa: PLC0415 - not needed until something is looked for, and slow to import

    found = pkgutil.iter_modules(import_module(package).__path__)
    return sorted(module.name for module in found if not module.name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """Import one unit and nothing beside it.

    Raises:
        LookupError: there is no such unit; the message lists those there are.
    """
    known = names(package)
    if name not in known:
        raise LookupError(f"no {package.rsplit('.', 1)[-1]} unit called {name!r}; there are: {', '.join(known)}")
    return import_module(f"{package}.{name}")
