"""``bearerwatch rules show``: one rule, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._options import Json, Rules, rules_folder
from bearerwatch.cli._output import console, document
from bearerwatch.errors import RuleError

if TYPE_CHECKING:
    from bearerwatch.detect.ir import Rule

__all__ = ["show"]


def show(
    name: Annotated[str, typer.Argument(metavar="RULE", help="The rule's name or id.")],
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Show one rule: what makes it fire, in words, why it is there, what to do, and what is excepted from it.

    With --json: one document.
    """
    from bearerwatch.detect.rulebook import load_rules  # noqa: PLC0415 - loads pySigma
    from bearerwatch.detect.words import outline, sentence  # noqa: PLC0415

    found = next((rule for rule in load_rules(rules_folder(rules)) if name in {rule.name, rule.uuid}), None)
    if found is None:
        raise RuleError("there is no rule of that name: 'bearerwatch rules list' shows them")
    if as_json:
        document(_fields(found, sentence(found.correlation)))
    else:
        _print(found, outline(found.correlation))


def _fields(rule: Rule, words: str) -> dict[str, Any]:
    return {
        "name": rule.name,
        "id": rule.uuid,
        "version": rule.version,
        "title": rule.title,
        "level": rule.level,
        "status": rule.status,
        "sentence": words,
        "group_by": list(rule.group_by),
        "window_seconds": rule.window,
        "description": rule.description,
        "advice": rule.advice,
        "notes": list(rule.notes),
        "falsepositives": list(rule.falsepositives),
        "tags": list(rule.tags),
        "references": list(rule.references),
        "path": None if rule.path is None else str(rule.path),
        "exceptions": [
            {"name": one.name, "author": one.author, "because": one.because, "until": one.until}
            for one in rule.exceptions
        ],
    }


def _print(rule: Rule, words: list[tuple[int, str]]) -> None:
    from bearerwatch.alert.escape import printable  # noqa: PLC0415

    screen = console()
    screen.print(f"{printable(rule.name)}: {printable(rule.title)}", style="bold")
    screen.print(f"{rule.level}, version {rule.version}, {rule.status}, {printable(rule.path)}", style="dim")
    screen.print(f"\nFires on {printable(words[0][1], 4000)}" + (":" if words[1:] else "."))
    for depth, line in words[1:]:
        screen.print("  " * depth + printable(line, 4000))
    screen.print()
    for line in rule.description.splitlines():
        screen.print(printable(line, 1000))
    lists = (
        ("What to do", [rule.advice] if rule.advice else []),
        ("False positives", rule.falsepositives),
        ("Telling them apart, and tuning", rule.notes),
        ("Excepted", [f"{one.name}, by {one.author}: {one.because}" for one in rule.exceptions]),
        ("References", rule.references),
        ("Tags", [", ".join(rule.tags)] if rule.tags else []),
    )
    for title, items in lists:
        if items:
            screen.print(f"\n{title}", style="bold")
        for item in items:
            screen.print(f"  {printable(item, 2000)}")
