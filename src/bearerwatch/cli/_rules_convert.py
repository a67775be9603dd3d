"""``bearerwatch rules convert``: rules for other products, and where they mean less there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._options import Json, Rules, rules_folder
from bearerwatch.cli._output import row, say
from bearerwatch.errors import ConfigurationError, RuleError

if TYPE_CHECKING:
    from bearerwatch.detect.sigma.convert import Converted

__all__ = ["convert"]

_ENDINGS = {"esql": "esql", "eql": "eql", "elastalert": "yml", "kusto": "kql", "loki": "logql", "splunk": "spl"}
_ENDINGS |= {"sqlite": "sql", "bearerwatch": "sql", "open_search_ppl": "ppl"}


def convert(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RULE]...", help="Names of rules, or rule files; all in force if none."),
    ] = None,
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="TARGET",
            help="splunk, elastic, opensearch, sentinel, loki, sqlite, or any pySigma backend that is installed.",
            show_default=False,
        ),
    ] = "",
    fields: Annotated[
        str | None,
        typer.Option(
            help="What events are called there: ecs, ocsf, or plain for our own names; else as the target's users "
            "mostly have it.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="One of the backend's own formats.")] = "default",
    index: Annotated[
        str | None, typer.Option(help="The index events are kept in there, where a query names it.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a file for each rule into this folder.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also if a rule means less there.")] = False,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Convert rules for other products, with a warning wherever they mean less there than here.

    Warnings are about what the backend has written: windows that tumble instead of sliding, a time span or an order
    left out, counts that are estimated. Exceptions are not converted. Exits 1 if a rule cannot be converted.

    With --json: NDJSON, {"rule", "target", "queries", "warnings", "problem"} a line.
    """
    from bearerwatch.detect.rulebook import load_rules  # noqa: PLC0415 - loads pySigma
    from bearerwatch.detect.sigma.convert import convert as converted  # noqa: PLC0415
    from bearerwatch.detect.sigma.targets import NAMES, SCHEMAS, backend_of, backends, schema_of  # noqa: PLC0415

    if not to:
        there = ", ".join(sorted({*backends(), *NAMES}))
        raise ConfigurationError(f"say for which product: --to TARGET, one of {there}")
    target, backend = backend_of(to)
    schema = fields or schema_of(target)
    if schema not in SCHEMAS:
        raise ConfigurationError(f"--fields is one of {', '.join(SCHEMAS)}")
    folder = rules_folder(rules)
    paths = [_path(name, folder) for name in names] if names else [r.path for r in load_rules(folder) if r.path]
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    failed = weaker = 0
    for path in paths:
        found = converted(path, target, backend, schema=schema, form=form, index=index)
        failed += bool(found.problem)
        weaker += bool(found.warnings)
        if output is not None and found.queries:
            ending = _ENDINGS.get(target, "txt")
            (output / f"{found.rule}.{ending}").write_text(_text(found), encoding="utf-8")
        if as_json:
            row({"target": target} | _fields(found))
        else:
            _print(found, shown=output is None)
    if not as_json:
        told = f"{len(paths)} rules, {weaker} of them mean less there, {failed} cannot be converted"
        say(told + (f"; written to {output}" if output is not None else ""))
    raise typer.Exit(1 if failed or (strict and weaker) else 0)


def _path(name: str, folder: Path | None) -> Path:
    from bearerwatch.detect.rulebook import rule_files  # noqa: PLC0415 - loads pySigma

    if name.endswith(".yml"):
        return Path(name)
    found = next((path for path in rule_files(folder) if path.stem == name), None)
    if found is None:
        raise RuleError("there is no rule of that name: 'bearerwatch rules list' shows them")
    return found


def _text(found: Converted) -> str:
    return "\n\n".join(query.rstrip() for query in found.queries) + "\n"


def _fields(found: Converted) -> dict[str, Any]:
    return {
        "rule": found.rule,
        "queries": list(found.queries),
        "warnings": list(found.warnings),
        "problem": found.problem,
    }


def _print(found: Converted, *, shown: bool) -> None:
    if found.problem:
        say(f"{found.rule}: cannot be converted: {found.problem}")
    for warning in found.warnings:
        say(f"{found.rule}: {warning}")
    if shown and found.queries:
        typer.echo(_text(found))
