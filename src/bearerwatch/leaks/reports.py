"""How findings are told: as lines for a reader, as JSON, as SARIF. Names of files are hostile, and may hold a token."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Protocol
from urllib.parse import quote

from bearerwatch._version import __version__
from bearerwatch.alert.escape import printable
from bearerwatch.leaks.scan import Leak
from bearerwatch.leaks.sources import STDIN
from bearerwatch.redact.engine import redact_text

__all__ = ["Json", "Lines", "Report", "Sarif", "shown"]

_LONGEST = 4096
_HOME = "https://github.com/bearerwatch/bearerwatch"
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

Out = Callable[[str], object]


def shown(name: str) -> str:
    """The name of a file as it can be printed: without control characters, and without a token."""
    return printable(redact_text(name), _LONGEST)


class Report(Protocol):
    """Told of each finding as it is made, then of the end."""

    def __call__(self, name: str, leak: Leak) -> None:
        """*leak* was found in the file *name*."""

    def end(self, problems: list[tuple[str, str]]) -> None:
        """All is looked at; *problems* are files and what was wrong with them."""


class Lines:
    """``file:line:column: kind fingerprint, and when it expires``."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def __call__(self, name: str, leak: Leak) -> None:
        """One line."""
        self._out(f"{shown(name)}:{leak.line}:{leak.column}: {_said(leak)}\n")

    def end(self, problems: list[tuple[str, str]]) -> None:
        """Nothing: problems were told as they came up."""


class Json:
    """One object a line (NDJSON), ASCII alone."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def __call__(self, name: str, leak: Leak) -> None:
        """One line."""
        fields: dict[str, Any] = {"path": shown(name), **leak._asdict(), "expires_at": _moment(leak.expires_at)}
        self._out(json.dumps(fields, separators=(",", ":")) + "\n")

    def end(self, problems: list[tuple[str, str]]) -> None:
        """Nothing: problems were told as they came up."""


class Sarif:
    """SARIF 2.1.0, written as findings come.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._kinds: dict[str, int] = {}
        self._begun = False

    def __call__(self, name: str, leak: Leak) -> None:
        """One result."""
        rule = f"leak/{leak.kind}"
        result: dict[str, Any] = {
            "ruleId": rule,
            "ruleIndex": self._kinds.setdefault(leak.kind, len(self._kinds)),
            "level": "warning" if leak.expired else "error",
            "message": {"text": f"A token is to be read here: {_said(leak)}. Revoke it, and keep it out of the file."},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(name)},
                        "region": {"startLine": leak.line, "startColumn": leak.column},
                    }
                }
            ],
        }
        if leak.fingerprint is not None:
            result["partialFingerprints"] = {"bearerwatch/v1": leak.fingerprint}
        self._out(self._lead() + json.dumps(result))

    def _lead(self) -> str:
        if self._begun:
            return ",\n"
        self._begun = True
        head = {"$schema": _SCHEMA, "version": "2.1.0"}
        return json.dumps(head)[:-1] + ', "runs": [{"columnKind": "unicodeCodePoints", "results": [\n'

    def end(self, problems: list[tuple[str, str]]) -> None:
        """The rules that results refer to, and what could not be read."""
        lead = "" if self._begun else self._lead()
        rules = [
            {"id": f"leak/{kind}", "shortDescription": {"text": f"A credential of the kind '{kind}' in a file"}}
            for kind in self._kinds
        ]
        driver = {"name": "bearerwatch", "version": __version__, "informationUri": _HOME, "rules": rules}
        told = [
            {
                "level": "error",
                "message": {"text": text},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(name)}}}],
            }
            for name, text in problems
        ]
        ran = {"executionSuccessful": not problems, "toolExecutionNotifications": told}
        tail = {"tool": {"driver": driver}, "invocations": [ran]}
        self._out(f"{lead}\n], {json.dumps(tail)[1:]}]}}\n")


def _said(leak: Leak) -> str:
    if leak.fingerprint is None:
        return "[password]"
    text = f"{leak.kind} {leak.fingerprint}"
    if leak.expired is None:
        return text
    return f"{text} {'expired' if leak.expired else 'valid until'} {_moment(leak.expires_at)}"


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _uri(name: str) -> str:
    """A reference as RFC 3986 has it: relative where the name is."""
    if name == STDIN:
        return "stdin"
    clean = redact_text(name)
    path = quote(os.fsencode(clean))
    return f"file://{path}" if PurePath(clean).is_absolute() else path
