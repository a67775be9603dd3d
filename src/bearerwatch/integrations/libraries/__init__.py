"""What authentication libraries know of a token: one file a library, called after the module that is waited for.

``rest_framework__views.py`` is loaded once the application has imported ``rest_framework.views``, and not before: who
does not use a library pays nothing for it. A file says

- ``DISTRIBUTION``, and of what versions it was tested the first and the last (``TESTED``);
- ``PATCHES``: what of the library it replaces, where there is no hook to use; and ``install()``, which does that;
- what it can tell, by functions of these names, each of which calls :func:`bearerwatch.context.note` or does nothing:
  ``rest_framework_refused(request, error)``, ``django_raised(error)``, ``django_answered(request, response)``,
  ``flask_raised(error)``, ``flask_answered()``, ``asgi_raised(scope, error)``, ``asgi_answered(scope)``.

Of several files the ones that know more go first: those of a lower ``ORDER``, which is 0 unless said.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from bearerwatch import _guard
from bearerwatch.context import current
from bearerwatch.integrations._causes import note_cause

__all__ = ["QUESTIONS", "Adapter", "adapters", "answered", "available", "tell", "watch_imports"]

QUESTIONS = (
    "rest_framework_refused",
    "django_raised",
    "django_answered",
    "flask_raised",
    "flask_answered",
    "asgi_raised",
    "asgi_answered",
)
"""What files may have functions for."""

_loaded: list[ModuleType] = []
_told: dict[str, tuple[Callable[..., None], ...]] = dict.fromkeys(QUESTIONS, ())


class Adapter(NamedTuple):
    """What a file says of itself."""

    module: str
    """The module that is waited for."""
    distribution: str
    tested: tuple[str, str]
    """The first and the last version it was tested with, as far as they are named: ``("3.15", "3.18")``."""
    patches: tuple[str, ...]
    """What of the library is replaced."""


def adapters() -> list[Adapter]:
    """All there are, read without loading them, for that would load their libraries."""
    found = []
    for module, stem in available().items():
        tree = ast.parse(Path(__file__).with_name(f"{stem}.py").read_text(encoding="utf-8"))
        said: dict[str, Any] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                target = node.targets[0]
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = (
                    node.value.elts
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [node.value]
                )
                for name, value in zip(names, values, strict=True):
                    if isinstance(name, ast.Name) and name.id in ("DISTRIBUTION", "TESTED", "PATCHES"):
                        said[name.id] = ast.literal_eval(value)
        found.append(Adapter(module, said["DISTRIBUTION"], said["TESTED"], tuple(said.get("PATCHES", ()))))
    return found


def available() -> dict[str, str]:
    """For each module that is waited for, the file that is loaded then."""
    stems = (path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return {stem.replace("__", "."): stem for stem in sorted(stems)}


def watch_imports() -> None:
    """Load the files of all libraries that are there, and those of others as soon as they are. Twice does nothing."""
    if any(isinstance(finder, _Awaiting) for finder in sys.meta_path):
        return
    waiting = available()
    for name in [name for name in waiting if name in sys.modules]:
        _load(waiting.pop(name))
    sys.meta_path.insert(0, _Awaiting(waiting))


def tell(question: str, *what: Any) -> None:
    """Ask what is loaded why a token was refused, until one says so: each for itself, should one fail.

    Of what was raised, and nobody knows, it is asked what it was raised from.
    """
    context = current.get()
    if context is None:
        return
    if context.noted is not None:
        context.noted.outcome = None  # of an attempt before this one
    for function in _told[question]:
        try:
            function(*what)
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed(f"asking {function.__module__}", error)
        if context.noted is not None and context.noted.outcome is not None:
            return
    if question.endswith("_raised"):
        note_cause(what[-1])


def answered(question: str, *what: Any) -> None:
    """Ask all that is loaded whose the token was that has been answered; quick where nobody knows."""
    for function in _told[question]:
        try:
            function(*what)
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed(f"asking {function.__module__}", error)


def _load(stem: str) -> None:
    try:
        module = import_module(f"{__name__}.{stem}")
        if hasattr(module, "install"):
            module.install()
    except Exception as error:  # noqa: BLE001 - host boundary: an import never fails because of us
        _guard.swallowed(f"watching {stem.replace('__', '.')}", error)
        return
    _loaded.append(module)
    _loaded.sort(key=lambda module: (getattr(module, "ORDER", 0), module.__name__))
    for question in QUESTIONS:
        _told[question] = tuple(getattr(module, question) for module in _loaded if hasattr(module, question))


class _Awaiting(MetaPathFinder):
    """Asked for every module that is imported; has an opinion on those waited for alone."""

    def __init__(self, waiting: dict[str, str]) -> None:
        self._waiting = waiting

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As whoever finds the module says, with something more to do once it is there."""
        stem = self._waiting.pop(fullname, None)
        if stem is None:
            return None
        spec = find_spec(fullname)
        if spec is None or not hasattr(spec.loader, "exec_module"):
            self._waiting[fullname] = stem
            return None
        spec.loader = _Then(spec.loader, stem)
        return spec


class _Then(Loader):
    """Loads a module, and then the file that is called after it."""

    def __init__(self, loader: Any, stem: str) -> None:
        self._loader = loader
        self._stem = stem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does, and it is the module's own again."""
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        _load(self._stem)
