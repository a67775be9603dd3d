"""The exceptions of a user's rules folder, taken out of the rules they are meant for.

An excepted event takes no part in a rule until the exception expires, by the time of the event: so what is found does
not depend on when one looks. Everything that runs a rule runs the correlation it comes to here; neither the rule's
version nor the id of an episode changes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bearerwatch.detect.documents import at
from bearerwatch.detect.ir import And, Before, Condition, Correlation, Excepted, Not, Rule, Selection
from bearerwatch.detect.islands import micros
from bearerwatch.detect.sigma.exceptions import ANY, Exemption, read_exemption
from bearerwatch.errors import ConfigurationError, RuleError

__all__ = ["FOLDER", "exemptions", "expired", "withheld", "without"]

FOLDER = "exceptions"
"""Where they lie within the rules folder."""

_MOST = 500
_Any = TypeVar("_Any")


def exemptions(folder: Path | None) -> list[Exemption]:
    """The exceptions below the rules folder *folder*, by name.

    Raises:
        RuleError: one or more files cannot be used; one line for each, ``file:line: what to do``.
        ConfigurationError: the folder cannot be read, or has too many.
    """
    if folder is None or not (place := folder / FOLDER).is_dir():
        return []
    try:
        paths = sorted(path for path in place.iterdir() if path.suffix == ".yml" and not path.name.startswith("."))
    except OSError as error:
        raise ConfigurationError(
            f"the exceptions in {place} cannot be read ({error.strerror}): give the user that runs this access"
        ) from None
    if len(paths) > _MOST:
        raise ConfigurationError(
            f"there are more than {_MOST} exceptions in {place}: remove those that have expired, or join some"
        )
    found: list[Exemption] = []
    problems: list[str] = []
    for path in paths:
        try:
            found.append(read_exemption(path))
        except RuleError as error:
            problems.append(str(error))
    if problems:
        raise RuleError("\n".join(problems))
    return found


def withheld(rules: Iterable[Rule], found: Sequence[Exemption], others: Collection[str] = ()) -> list[Rule]:
    """*rules* without the events that are excepted from them.

    Args:
        rules: as they are written.
        found: all exceptions.
        others: names and ids of rules that may be named though they are not in *rules*, such as those switched off.

    Raises:
        RuleError: an exception is meant for a rule that does not exist; one line for each.
    """
    rules = list(rules)
    known = {rule.name for rule in rules} | {rule.uuid for rule in rules} | set(others)
    problems = []
    for one in found:
        problems += [
            str(
                at(
                    one.document.path,
                    one.document.lines.get(("filter", "rules"), one.document.line),
                    "is meant for a rule that there is not: 'bearerwatch rules list' names them",
                )
            )
            for name in one.rules
            if name != ANY and name not in known
        ]
    if problems:
        raise RuleError("\n".join(problems))
    return [
        without(rule, [one.excepted for one in found if {ANY, rule.name, rule.uuid} & set(one.rules)]) for rule in rules
    ]


def without(rule: Rule, excepted: Sequence[Excepted]) -> Rule:
    """*rule* without the events of *excepted*."""
    if not excepted:
        return rule
    parts: list[Condition] = [
        Not(one.where if one.until is None else And((one.where, Before(micros(one.until))))) for one in excepted
    ]

    def narrowed(selection: Selection) -> Selection:
        return replace(selection, where=And((selection.where, *parts)))

    correlation: Correlation = _mapped(rule.correlation, narrowed)
    return replace(rule, correlation=correlation, exceptions=(*rule.exceptions, *excepted))


def _mapped(value: _Any, change: Callable[[Selection], Selection]) -> _Any:
    """*value* with every selection changed, in whatever kind of correlation it stands."""
    if isinstance(value, Selection):
        changed: Any = change(value)
    elif isinstance(value, tuple):
        changed = tuple(_mapped(item, change) for item in value)
    elif is_dataclass(value) and not isinstance(value, type | Condition):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        changed = replace(value, **{name: _mapped(part, change) for name, part in parts.items()})
    else:
        changed = value
    return changed  # type: ignore[no-any-return]


def expired(rules: Iterable[Rule], now: datetime) -> list[str]:
    """What to say of exceptions that have come to their end, a sentence each.

    Args:
        rules: those in force.
        now: the clock, aware.
    """
    found: dict[Path, Excepted] = {}
    for rule in rules:
        found |= {one.path: one for one in rule.exceptions if one.until is not None and one.until <= now}
    return [
        f"The exception {one.name} expired on {one.until:%Y-%m-%d %H:%M} UTC: its events alert again."
        for _, one in sorted(found.items())
    ]
