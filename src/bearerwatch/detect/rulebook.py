"""Which rules there are: the package's, and those of a folder of the user's, which win by file name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from bearerwatch.detect.documents import at
from bearerwatch.detect.exceptions import exemptions, withheld
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.sigma import read_rule
from bearerwatch.errors import ConfigurationError, RuleError

__all__ = ["load_rules", "package_rules", "rule_files"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\.yml")
_OFF = frozenset({"deprecated", "unsupported"})


def package_rules() -> Path:
    """The folder of the rules that come with bearerwatch."""
    return Path(str(resources.files("bearerwatch.detect"))) / "rules"


def rule_files(folder: Path | None = None) -> list[Path]:
    """The rule files in force, by name.

    Args:
        folder: the user's rules. A file with the name of one of the package's takes its place.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    found: dict[str, Path] = {}
    for place in [package_rules(), *([folder] if folder is not None else [])]:
        try:
            entries = sorted(place.iterdir())
        except OSError as error:
            raise ConfigurationError(
                f"the rules folder {place} cannot be read ({error.strerror}): create it, or leave the setting out"
            ) from None
        for path in entries:
            if path.suffix == ".yml" and not path.name.startswith(".") and not path.name.endswith(".test.yml"):
                found[path.name] = path
    return [found[name] for name in sorted(found)]


def load_rules(folder: Path | None = None) -> tuple[Rule, ...]:
    """Read every rule in force, sorted by name.

    A rule whose status is ``deprecated`` or ``unsupported`` is left out: to switch one of the package's rules off, put
    a copy with such a status into your own folder. What the folder's exceptions name takes no part in the rules.

    Args:
        folder: the user's rules, beside the package's, and below it ``exceptions/``.

    Raises:
        RuleError: one or more files cannot be used; one line for each, ``file:line: what to do``.
        ConfigurationError: the folder cannot be read.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    ids: dict[str, Path] = {}
    off: set[str] = set()
    for path in rule_files(folder):
        try:
            rule = _read(path, ids)
        except RuleError as error:
            problems.append(str(error))
            continue
        ids[rule.uuid] = path
        if rule.status not in _OFF:
            rules.append(rule)
        else:
            off |= {rule.name, rule.uuid}
    try:
        exempt = exemptions(folder)
        if not problems:
            return tuple(withheld(rules, exempt, off))
    except RuleError as error:
        problems.append(str(error))
    raise RuleError("\n".join(problems))


def _read(path: Path, ids: Mapping[str, Path]) -> Rule:
    if not _NAME.fullmatch(path.name):
        raise at(path, 1, "has a name other than lower-case letters, digits and _: rename it")
    rule = read_rule(path)
    if rule.uuid in ids:
        raise at(path, 1, f"has the id of {ids[rule.uuid]}: make one of its own with 'uuidgen'")
    return rule
