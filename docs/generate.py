"""Makes the reference pages that come from the code: ``python docs/generate.py`` writes, ``--check`` compares.

Events from the docstrings of ``bearerwatch.event``, formats from their tables, rules from their YAML, commands from
``--help``, warnings from where they are given.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from bearerwatch import event
from bearerwatch._units import names
from bearerwatch.detect.sigma import read_rule
from bearerwatch.detect.words import outline

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src" / "bearerwatch"
_MORE = {
    "kind": "See above.",
    "outcome": "One of the outcomes; none unless `kind` is `auth`.",
    "service": "Name of the service.",
    "method": "HTTP method.",
    "client_id": "OAuth client (`client_id` or `azp`).",
    "issuer": "Who issued the token, as it says itself (`iss`).",
    "user_agent": "Redacted and cut to 256 characters.",
    "city": "As `country`.",
    "lat": "As `country`.",
    "lon": "As `country`.",
    "asn": "Autonomous system number, added by the collector.",
    "request_id": "Answered as `X-Request-ID`.",
}


def _attributes(cls: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Name, type or value, and docstring of each attribute."""
    following = [*cls.body[1:], ast.Pass()]
    for node, after in zip(cls.body, following, strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, told = node.target.id, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, told = node.targets[0].id, str(ast.literal_eval(node.value))
        else:
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = str(after.value.value)
        yield name, told, " ".join(text.replace("``", "`").split())


def events() -> str:
    """``reference/events.md``."""
    tree = ast.parse((SOURCE / "event.py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    lines = [
        "# Events",
        "",
        "One JSON object a line (NDJSON, UTF-8) in the spool and over HTTP; the same names are columns of the lake",
        "and fields of Sigma rules. Fields that have their default are left out on the wire. `schema_version` (int)",
        f"stands in front of every event and is {event.SCHEMA_VERSION}; adding an optional field keeps it, anything",
        "else raises it.",
        "",
        "## Kinds",
        "",
        "| kind | meaning |",
        "|---|---|",
        *(f"| `{value}` | {text} |" for _, value, text in _attributes(classes["Kind"])),
        "",
        "## Outcomes",
        "",
        "A closed set, for `kind` `auth`. All but `success` and `anonymous` are failures.",
        "[How an outcome is told](../explanations/outcomes.md).",
        "",
        "| outcome | meaning |",
        "|---|---|",
        *(f"| `{value}` | {text} |" for _, value, text in _attributes(classes["Outcome"])),
        "",
        "## Reasons",
        "",
        "An open set in snake_case; these are the ones bearerwatch knows.",
        "",
        "| reason | meaning |",
        "|---|---|",
        *(f"| `{reason}` | {text} |" for reason, text in sorted(event.REASONS.items())),
        "",
        "## Fields",
        "",
        "| field | type | meaning |",
        "|---|---|---|",
        *(
            f"| `{name}` | {told.replace(' | None', '')} | {_MORE.get(name, text)} |"
            for name, told, text in _attributes(classes["AuthEvent"])
        ),
        "| `received_at` | datetime | In the lake only: when the collector took it. |",
        "| `source` | str | In the lake only: `spool:<service>` or `http:<key name>`. |",
    ]
    return "\n".join(lines) + "\n"


def rules() -> str:
    """``reference/rules.md``."""
    lines = [
        "# Rules",
        "",
        "The built-in rules. Each is one file; a file of the same name in the folder given to `--rules` replaces it.",
        "`bearerwatch rules test` runs the test events every rule carries.",
    ]
    for path in sorted((SOURCE / "detect" / "rules").glob("*.yml")):
        if path.stem.endswith(".test"):
            continue
        rule = read_rule(path)
        told = [(deep, text.replace("*", "\\*").replace("<", "&lt;")) for deep, text in outline(rule.correlation)]
        lines += [
            "",
            f"## `{path.stem}`",
            "",
            f"**{rule.title}** · {rule.level} · version {rule.version} · by "
            + ", ".join(f"`{field}`" for field in rule.group_by),
            "",
            f"Fires on {told[0][1]}" + (":" if told[1:] else "."),
            *([""] if told[1:] else []),
            *(f"{'  ' * (deep - 1)}- {text}" for deep, text in told[1:]),
            "",
            rule.description,
            "",
            "Looks like it and is not:",
            "",
            *(f"- {text}" for text in rule.falsepositives),
            "",
            f"What to do: {rule.advice}",
        ]
    return "\n".join(lines) + "\n"


def _help(*words: str) -> str:
    env = os.environ | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "bearerwatch.cli", *words, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def commands() -> str:
    """``reference/commands.md``."""
    lines = [
        "# Commands",
        "",
        "Data goes to standard output, progress and notices to standard error. Exit codes: 0 ok, 1 findings or",
        "failed, 2 usage or configuration, 130 interrupted. Tokens come from standard input, files or the",
        "environment, never from the command line.",
    ]
    for name in names("bearerwatch.cli"):
        text = _help(name)
        lines += ["", f"## `bearerwatch {name}`", "", "```text", text, "```"]
        group = re.search(r"^Commands:\n((?:  .*\n?)+)", text + "\n", re.MULTILINE)
        for sub in re.findall(r"^  (\w[\w-]*)  ", group[1], re.MULTILINE) if group else ():
            lines += ["", f"### `bearerwatch {name} {sub}`", "", "```text", _help(name, sub), "```"]
    return "\n".join(lines) + "\n"


def _given() -> Iterator[tuple[str, str, str]]:
    """Id, message and hint of every warning the code can give."""
    for path in sorted([*(SOURCE / "doctor").rglob("*.py"), SOURCE / "django" / "checks.py"]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            named = {word.arg: word.value for word in node.keywords}
            if isinstance(node.func, ast.Name) and node.func.id == "finding" and len(node.args) == 3:
                code, message, hint = (_words(argument) for argument in node.args)
            elif "id" in named and node.args:
                code = _words(named["id"]).removeprefix("bearerwatch.")
                message, hint = _words(node.args[0]), _words(named["hint"]) if "hint" in named else ""
            else:
                continue
            if re.fullmatch(r"[WE]\d{3}", code):
                yield code, message, hint


def _words(node: ast.expr) -> str:
    """A message as written, with an ellipsis where a value goes."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _words(node.left) + _words(node.right)
    return "…"


def warnings() -> str:
    """``reference/warnings.md``."""
    lines = [
        "# Warnings and errors",
        "",
        "Given by `bearerwatch doctor` and, where it applies, by `manage.py check`. Ids are API and never reused:",
        "`E` is for what does not work, `W` for what could be better.",
        "",
        "| id | says | what to do |",
        "|---|---|---|",
    ]
    told: dict[str, tuple[str, str]] = {}
    for code, message, hint in _given():
        known = told.get(code)
        if known is None or known[0].strip("…. ") == "":
            told[code] = (message, hint)
    cell = str.maketrans({"|": "\\|", "\n": " "})
    told = {
        code: (message if message.strip("…:. ") else "*(names what is wrong)*", hint)
        for code, (message, hint) in told.items()
    }
    lines += [
        f"| `bearerwatch.{code}` | {told[code][0].translate(cell)} | {told[code][1].translate(cell)} |"
        for code in sorted(told)
    ]
    return "\n".join(lines) + "\n"


_FORMATS = {
    "ocsf": ("OCSF", 'Authentication (3002), activity 99 "Token Validation"; a `leak` is a Detection Finding (2004)'),
    "ecs": ("ECS", "documents for Elasticsearch and OpenSearch"),
    "otlp": ("OpenTelemetry", "log records; attributes but where it is said"),
    "syslog": ("syslog", "RFC 5424; parameters of structured data, with the enterprise number for PEN"),
    "ndjson": ("NDJSON", "our own schema, as in the spool and over HTTP: each field under [its own name](events.md)"),
}


def formats() -> str:
    """``reference/formats.md``."""
    units = {name: import_module(f"bearerwatch.formats.{name}") for name in names("bearerwatch.formats")}
    shown = [name for name in _FORMATS if name != "ndjson"]
    versions = {name: f" {unit.VERSION}" if hasattr(unit, "VERSION") else "" for name, unit in units.items()}
    lines = [
        "# Formats",
        "",
        "What [sinks and `events export`](../guides/exports.md) write. A record is one line: nothing a client sent",
        "ends it early.",
        "",
        "| format | what it is |",
        "|---|---|",
        *(f"| `{name}` | {_FORMATS[name][0]}{versions[name]}: {_FORMATS[name][1]} |" for name in units),
        "| `parquet` | `events export` alone: the [columns of the lake](events.md#fields), times in UTC |",
        "",
        "## Where each field stands",
        "",
        "A second place, behind *or*, is for values the first does not take: an address that is none, a method or a",
        "trace id the standard does not know, or a place without what it is the place of.",
        "",
        "| field | " + " | ".join(_FORMATS[name][0] for name in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for field in event.AuthEvent.__struct_fields__:
        places = (re.sub(" (or|and) ", r"` \1 `", f"`{units[name].MAPPING[field]}`") for name in shown)
        lines.append(f"| `{field}` | " + " | ".join(places) + " |")
    return "\n".join(lines) + "\n"


def detection() -> str:
    """``reference/detection.md``, from what docs/judged.py has kept."""
    kept = json.loads((HERE / "judged.json").read_text(encoding="utf-8"))
    first, last = kept["seeds"]
    lines = [
        "# How the rules do",
        "",
        f"Ten simulated days (`bearerwatch simulate --events 200000`, seeds {first} to {last}, which nobody looked at",
        f"while writing a rule), {kept['events']:,} events, judged as `bearerwatch rules backtest --truth` does it:",
        "*recall* is the share of the attacks marked with the rule that it told of, *precision* true / (true + false).",
        "*Other* episodes tell of an attack or a mishap that the rule need not tell of. *Worst* is the worst day.",
        "[What is marked, and when an episode fits it](../guides/rehearsal.md#what-truthjson-says).",
        "",
        "| rule | attacks | recall | worst | true | other | false | precision | worst |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in kept["rules"].items():
        recall = f"{one['caught'] / one['marked']:.3f} | {one['worst_recall']:.2f}" if one["marked"] else " | "
        counted = one["true"] + one["false"]
        precision = f"{one['true'] / counted:.3f} | {one['worst_precision']:.2f}" if counted else " | "
        episodes = f"{one['true']} | {one['other']} | {one['false']}"
        lines.append(f"| `{name}` | {one['marked']} | {recall} | {episodes} | {precision} |")
    lines += [
        "",
        "`python docs/judged.py` judges anew. A simulation is no proof: it shows what the rules do with attacks and",
        "crowds of these kinds. Judge them on days of your own, too.",
    ]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/detection.md": detection,
    "reference/events.md": events,
    "reference/formats.md": formats,
    "reference/rules.md": rules,
    "reference/warnings.md": warnings,
}


def main() -> int:
    """Write the pages, or say which are not what the code says."""
    stale = []
    for page, make in PAGES.items():
        text = make()
        path = HERE / page
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(page)
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run: python docs/generate.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
