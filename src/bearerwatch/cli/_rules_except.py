"""``bearerwatch rules except``: take events out of rules until a day, see what is taken out, and end it."""

from __future__ import annotations

import getpass
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from bearerwatch._draft import drafted
from bearerwatch.cli._options import Json, Rules, duration, rules_folder
from bearerwatch.cli._output import console, document, row, say
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.detect.sigma.exceptions import Exemption

__all__ = ["except_"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RULE = re.compile(r"[a-z][a-z0-9_]{0,63}|[0-9a-f-]{36}")
_HISTORY = "history.jsonl"


def except_(
    rules_: Annotated[
        list[str] | None, typer.Argument(metavar="[RULE]...", help="For which rules, or any.", show_default=False)
    ] = None,
    *,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE",
            help="Of which events: client_ip=203.0.113.0/28, token_id=k…:…, user_agent=probe/*, and the like; of "
            "several fields all must fit, of one field's values any.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Till when: 30d from now, 2026-12-01, or never.", show_default=False)
    ] = None,
    because: Annotated[str | None, typer.Option(help="Why.", show_default=False)] = None,
    author: Annotated[
        str | None, typer.Option(help="Who answers for it; you, if not said.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call it; made of the reason, if not said.", show_default=False)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the exceptions there are.")] = False,
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="End one of them.", show_default=False)] = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Except events from rules: they take no part until the exception expires, by the time of the event.

    Writes a file into exceptions/ of your rules folder, a Sigma filter with who, why and until when; what was added
    and removed is kept in its history.jsonl. A running collector takes it up when it is started again.

    With --json: one document, the exception; of --list NDJSON, one a line.
    """
    folder = rules_folder(rules)
    if folder is None:
        raise ConfigurationError("say which folder your rules are in: --rules DIR, or set BEARERWATCH_RULES")
    asked = [bool(rules_ or field or until or because or name), list_, remove is not None]
    if sum(asked) != 1:
        raise ConfigurationError("say either what is excepted (RULE, --field, --until, --because), --list or --remove")
    if list_:
        _show(folder, as_json=as_json)
    elif remove is not None:
        _remove(folder, remove, author)
    else:
        _add(folder, rules_ or [], field or [], until, because, author=author, name=name, as_json=as_json)


def _add(
    folder: Path,
    rules: list[str],
    given: list[str],
    until: str | None,
    because: str | None,
    *,
    author: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    import yaml  # noqa: PLC0415 - needs the server extra

    from bearerwatch.detect.documents import Document  # noqa: PLC0415
    from bearerwatch.detect.exceptions import FOLDER, exemptions, withheld  # noqa: PLC0415
    from bearerwatch.detect.rulebook import load_rules  # noqa: PLC0415 - loads pySigma
    from bearerwatch.detect.sigma.exceptions import exemption  # noqa: PLC0415

    if not rules or not given or not until or not because or not because.strip():
        raise ConfigurationError("an exception needs RULE, --field, --until and --because: say all four")
    now = datetime.now(UTC).replace(microsecond=0)
    _refuse_tokens([*rules, *given, because, author or "", name or ""])
    if not all(_RULE.fullmatch(rule) for rule in rules):
        raise ConfigurationError("a rule is named by its name or id: 'bearerwatch rules list' shows them")
    selected = _selection(given)
    who = (author or _who()).strip()
    called = name if name is not None else _called(because, folder / FOLDER)
    if not _NAME.fullmatch(called):
        raise ConfigurationError("--name is made of small letters, digits, _ and -: choose such a one")
    path = folder / FOLDER / f"{called}.yml"
    if path.exists():
        raise ConfigurationError(f"there is an exception {called}: choose another --name, or remove that one first")
    data: dict[str, Any] = {
        "title": because.strip().splitlines()[0][:80],
        "id": str(uuid4()),
        "logsource": {"product": "bearerwatch"},
        "filter": {"rules": "any" if rules == ["any"] else rules, "excepted": selected, "condition": "not excepted"},
        "bearerwatch": {
            "author": who,
            "because": because.strip(),
            "created": now.isoformat().replace("+00:00", "Z"),
            "expires": _until(until, now),
        },
    }
    one = exemption(Document(path=path, line=1, data=data, lines={}))
    exemptions(folder)  # what is there is sound, so that what is added can be told from it
    withheld(load_rules(folder), [one])
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    with drafted(path, 0o644) as handle:
        os.write(handle, text.encode())
    _note(
        path.parent, {"at": data["bearerwatch"]["created"], "by": _who(), "did": "added", "name": called} | _shown(one)
    )
    if as_json:
        document({"path": str(path)} | _shown(one))
        return
    typer.echo(str(path))
    say(f"excepted from {', '.join(rules)} until {data['bearerwatch']['expires']}; start the collector again to use it")


def _refuse_tokens(texts: list[str]) -> None:
    from bearerwatch.redact.engine import find  # noqa: PLC0415

    if any(find(text) for text in texts):
        raise ConfigurationError(
            "that holds what looks like a token (it is not repeated here). Name a token by its fingerprint, which "
            "'bearerwatch fingerprint' tells of one on standard input; one that stood on a command line is in the "
            "shell's history and was visible to every user: revoke it"
        )


def _selection(given: list[str]) -> dict[str, Any]:
    """The fields and values of ``--field``. What is given is not repeated in errors: it may be a token."""
    from bearerwatch.detect.fields import CLOSED, NETWORK, TYPES, near  # noqa: PLC0415 - loads DuckDB

    found: dict[str, list[Any]] = {}
    for place, text in enumerate(given, start=1):
        where = f"--field number {place}" if len(given) > 1 else "--field"
        key, equals, value = text.partition("=")
        name = key.partition("|")[0].strip()
        if not equals or not value.strip():
            raise ConfigurationError(f"{where} is FIELD=VALUE, such as client_ip=203.0.113.7")
        if name not in TYPES:
            raise ConfigurationError(
                f"{where} names a field that no event has{near(name, TYPES)}; the fields are in the reference of events"
            )
        key, value = key.strip(), value.strip()
        if name in CLOSED and value.lower() not in CLOSED[name]:
            raise ConfigurationError(f"{where}: {name} is one of {', '.join(sorted(CLOSED[name]))}")
        if name in NETWORK and "|" not in key and "/" in value:
            key += "|cidr"
        found.setdefault(key, []).append(_value(where, name, TYPES[name], value))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _value(where: str, name: str, kind: str, text: str) -> str | int | float | bool:
    try:
        match kind:
            case "BIGINT":
                return int(text)
            case "DOUBLE":
                return float(text)
            case "BOOLEAN":
                return {"true": True, "false": False}[text.lower()]
    except (KeyError, ValueError):
        words = {"BIGINT": "a whole number", "DOUBLE": "a number", "BOOLEAN": "true or false"}
        raise ConfigurationError(f"{where}: {name} is {words[kind]}") from None
    return text


def _until(text: str, now: datetime) -> str:
    if text.strip().lower() == "never":
        return "never"
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            parsed = now + duration(text, "--until")
        except OverflowError:
            raise ConfigurationError("--until lies beyond all time: give some years at most, or never") from None
    parsed = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    if parsed <= now:
        raise ConfigurationError("--until lies in the past: give a length of time from now, such as 30d, or a day")
    return parsed.isoformat().replace("+00:00", "Z")


def _called(because: str, folder: Path) -> str:
    """A name made of the reason, that is not taken."""
    words = "_".join(re.findall(r"[a-z0-9]+", because.lower())[:4])[:40] or "exception"
    number = 1
    while (folder / f"{words}{'' if number == 1 else f'_{number}'}.yml").exists():
        number += 1
    return words if number == 1 else f"{words}_{number}"


def _show(folder: Path, *, as_json: bool) -> None:
    from bearerwatch.detect.exceptions import exemptions  # noqa: PLC0415 - loads pySigma

    found = exemptions(folder)
    if as_json:
        for one in found:
            row({"path": str(one.document.path)} | _shown(one))
        return
    from rich.text import Text  # noqa: PLC0415

    from bearerwatch.alert.escape import printable  # noqa: PLC0415

    now, screen = datetime.now(UTC), console()
    for one in found:
        until = one.excepted.until
        over = until is not None and until <= now
        text = Text()
        text.append(f"{printable(one.excepted.name)}  ", style="bold")
        text.append("never ends" if until is None else f"{'expired' if over else 'until'} {until:%Y-%m-%d %H:%M}")
        text.append(f"  {', '.join(map(printable, one.rules))}  {printable(_told(one))}")
        text.append(f"  {printable(one.excepted.author)}: {printable(one.excepted.because)}", style="dim")
        if over:
            text.stylize("yellow")
        screen.print(text)
    say(f"{len(found)} exceptions" if found else "no exceptions")


def _remove(folder: Path, name: str, author: str | None) -> None:
    from bearerwatch.detect.exceptions import FOLDER  # noqa: PLC0415 - loads pySigma

    _refuse_tokens([name])
    path = folder / FOLDER / f"{name}.yml"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise ConfigurationError("there is no exception of that name: 'bearerwatch rules except --list' shows them")
    was = path.read_text(encoding="utf-8", errors="replace")
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    _note(path.parent, {"at": at, "by": author or _who(), "did": "removed", "name": name, "was": was})
    path.unlink()
    say(f"{name} is removed; start the collector again to use it")


def _shown(one: Exemption) -> dict[str, Any]:
    excepted = one.excepted
    ours = one.document.data["bearerwatch"]
    return {
        "name": excepted.name,
        "rules": list(one.rules),
        "fields": {key: value for key, value in one.document.data["filter"].items() if key != "rules"},
        "author": excepted.author,
        "because": excepted.because,
        "created": str(ours["created"]) if "created" in ours else None,
        "until": excepted.until,
    }


def _told(one: Exemption) -> str:
    """The selections in one line."""
    parts = [v for k, v in one.document.data["filter"].items() if k not in ("rules", "condition")]
    return "; ".join(
        ", ".join(f"{key}={value}" for key, value in part.items()) if isinstance(part, dict) else str(part)
        for part in parts
    )


def _note(folder: Path, entry: dict[str, Any]) -> None:
    """Add a line to the history, which nothing of ours ever shortens."""
    line = json.dumps(entry, default=lambda value: value.isoformat()) + "\n"
    handle = os.open(folder / _HISTORY, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def _who() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a container's made-up user id, say
        return f"uid {os.getuid()}"
