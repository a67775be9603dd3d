"""``bearerwatch rules``: which rules are in force, and whether they do what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._options import Json, Rules, rules_folder
from bearerwatch.cli._output import console, row, say
from bearerwatch.cli._rules_backtest import backtest
from bearerwatch.cli._rules_check import as_junit, files_of, show_test, tested
from bearerwatch.cli._rules_convert import convert
from bearerwatch.cli._rules_except import except_
from bearerwatch.cli._rules_explain import explain
from bearerwatch.cli._rules_show import show
from bearerwatch.cli._rules_watch import watch

if TYPE_CHECKING:
    from bearerwatch.detect.ir import Rule

__all__ = ["app", "list_", "try_"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Detection rules: see, test, explain, write, convert them, and except events from them.",
    epilog="Example: bearerwatch rules list\n\nExample: bearerwatch rules test ./rules",
)


app.command(epilog="Example: bearerwatch rules show token_guessing")(show)
app.command(
    epilog="Example: bearerwatch rules watch ./rules\n\n"
    "Example: bearerwatch rules watch ./rules/admin_probing.yml --events yesterday.parquet\n\n"
    "Example: bearerwatch rules watch ./rules --since 6h"
)(watch)
app.command(
    epilog="Example: bearerwatch rules convert --to splunk\n\n"
    "Example: bearerwatch rules convert token_guessing --to elastic --index 'logs-bearerwatch*'\n\n"
    "Example: bearerwatch rules convert --to opensearch --output ./ppl --strict"
)(convert)
app.command(
    epilog="Example: bearerwatch rules explain 9f86d081\n\n"
    "Example: bearerwatch rules explain 9f86d081 --json --limit 1000"
)(explain)
app.command(
    epilog="Example: bearerwatch rules backtest --since 30d --rules ./rules\n\n"
    "Example: bearerwatch rules backtest --events ./rehearsal/events --truth ./rehearsal/truth.json"
)(backtest)
app.command(
    "except",
    epilog="Example: bearerwatch rules except brute_force_address --field client_ip=203.0.113.0/28 --until 30d "
    "--because 'Our own scanner, every Monday' --rules ./rules\n\n"
    "Example: bearerwatch rules except --list\n\nExample: bearerwatch rules except --remove our_own_scanner",
)(except_)


@app.command("list", epilog="Example: bearerwatch rules list --rules ./rules")
def list_(rules: Rules = None, as_json: Json = False) -> None:
    """List the rules in force: ours, and your own from --rules.

    With --json: NDJSON, one rule a line.
    """
    from bearerwatch.detect.exceptions import expired  # noqa: PLC0415 - loads pySigma
    from bearerwatch.detect.rulebook import load_rules, package_rules  # noqa: PLC0415

    found = load_rules(rules_folder(rules))
    ours = package_rules()
    if as_json:
        for rule in found:
            row(_fields(rule, ours))
        return
    from rich.text import Text  # noqa: PLC0415

    from bearerwatch.alert.channels.console import STYLES  # noqa: PLC0415
    from bearerwatch.alert.escape import printable  # noqa: PLC0415

    screen = console()
    width = max((len(rule.name) for rule in found), default=0)
    for rule in found:
        text = Text()
        text.append(f"{printable(rule.name):<{width}}  ", style="bold")
        text.append(f"{printable(rule.level):<14}", style=STYLES.get(rule.level, ""))
        text.append(printable(rule.title))
        text.append(f"  by {', '.join(rule.group_by)}, {rule.window} s, version {rule.version}", style="dim")
        if rule.exceptions:
            text.append(f"  except {', '.join(printable(one.name) for one in rule.exceptions)}", style="yellow")
        if not _is_ours(rule, ours):
            text.append(f"  {printable(rule.path)}", style="cyan")
        screen.print(text)
    for said in expired(found, datetime.now(UTC)):
        say(f"{said} Renew it, or remove it with 'bearerwatch rules except --remove NAME'")
    say(f"{len(found)} rules; 'bearerwatch rules test' tries each on its own events")


@app.command(
    "test",
    epilog="Example: bearerwatch rules test\n\n"
    "Example: bearerwatch rules test ./rules/admin_probing.yml\n\n"
    "Example: bearerwatch rules test ./rules --json\n\nExample: bearerwatch rules test ./rules --junit rules.xml",
)
def try_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Rule files, or folders of them; all rules in force if none."),
    ] = None,
    rules: Rules = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write the results as JUnit XML, which CI systems show.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run each rule on the test events beside it, as NAME.test.yml.

    A rule passes if each of its tests makes exactly the episodes it expects, and there are at least one hit and one
    near miss. Exits 1 if a rule does not.

    With --json: NDJSON, {"rule", "path", "passed", "tests": [{"test", "hit", "passed", "problem"}], "problem"} a line.
    """
    from bearerwatch.detect.rulebook import rule_files  # noqa: PLC0415 - loads pySigma

    files = files_of(paths) if paths else rule_files(rules_folder(rules))
    failed, results = 0, []
    for path in files:
        result = tested(path)
        results.append(result)
        failed += not result["passed"]
        if as_json:
            row(result)
        else:
            show_test(result)
    if junit is not None:
        junit.write_text(as_junit(results), encoding="utf-8")
    say(f"{len(files)} rules tested, {failed} failed" if failed else f"{len(files)} rules tested, all good")
    raise typer.Exit(1 if failed else 0)


def _is_ours(rule: Rule, ours: Path) -> bool:
    return rule.path is not None and rule.path.parent == ours


def _fields(rule: Rule, ours: Path) -> dict[str, Any]:
    return {
        "name": rule.name,
        "id": rule.uuid,
        "version": rule.version,
        "title": rule.title,
        "level": rule.level,
        "status": rule.status,
        "group_by": list(rule.group_by),
        "window_seconds": rule.window,
        "description": rule.description,
        "advice": rule.advice,
        "falsepositives": list(rule.falsepositives),
        "tags": list(rule.tags),
        "references": list(rule.references),
        "path": None if rule.path is None else str(rule.path),
        "ours": _is_ours(rule, ours),
        "exceptions": [one.name for one in rule.exceptions],
    }
