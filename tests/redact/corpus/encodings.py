"""The same line in other spellings: percent, base64, escapes, wraps, colours, and characters nobody sees."""

from __future__ import annotations

import base64
import html
import json
import pprint
import quopri
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

__all__ = ["ENCODINGS", "LINES"]

_ZW = "\u200b"
_ANSI = "\x1b[32m"
_OFF = "\x1b[0m"

LINES: tuple[tuple[str, str], ...] = (
    ("header", "Authorization: Bearer §"),
    ("json", '{"access_token": "§", "token_type": "Bearer"}'),
    ("query", "https://app.example.com/cb?access_token=§&page=2"),
)


def _uni(line: str) -> str:
    """Each character that is no letter or digit as JSON's and JavaScript's escape."""
    return "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in line)


def _uni_all(line: str) -> str:
    return "".join(f"\\u{ord(c):04X}" for c in line)


def _hex_escapes(line: str) -> str:
    return "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in line)


def _soft(line: str) -> str:
    return quopri.encodestring(line.encode(), quotetabs=True).decode()


def _columns(line: str, width: int, lead: str) -> str:
    return ("\n" + lead).join(line[at : at + width] for at in range(0, len(line), width))


def _b64(line: str) -> str:
    return base64.b64encode(line.encode()).decode()


def _hexdump(line: str) -> str:
    rows = [line[at : at + 16] for at in range(0, len(line), 16)]
    return "\n".join(f"{16 * n:08x}  {row.encode().hex(' ')}  |{row}|" for n, row in enumerate(rows))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "percent": lambda line: quote(line, safe=""),
    "percent-plus": quote_plus,
    "percent-lower": lambda line: (
        quote(line, safe="").replace("%3A", "%3a").replace("%3D", "%3d").replace("%22", "%22")
    ),
    "percent-twice": lambda line: quote(quote(line, safe=""), safe=""),
    "percent-next": lambda line: "/login?next=" + quote(f"/cb?{line.replace(': ', '=')}&x=1", safe=""),
    "base64": _b64,
    "base64-url": lambda line: base64.urlsafe_b64encode(line.encode()).decode().rstrip("="),
    "base64-wrapped": lambda line: _columns(_b64(line), 76, ""),
    "base64-shifted": lambda line: _b64("x\n" + line),
    "base64-twice": lambda line: _b64(_b64(line)),
    "json-once": lambda line: json.dumps({"body": line}),
    "json-twice": lambda line: json.dumps({"raw": json.dumps({"body": line})}),
    "json-thrice": lambda line: json.dumps(json.dumps(json.dumps(line))),
    "json-slashes": lambda line: json.dumps(line).replace("/", "\\/"),
    "json-unicode": _uni,
    "json-unicode-all": _uni_all,
    "hex-escapes": _hex_escapes,
    "html": lambda line: html.escape(line).replace(":", "&#58;").replace("=", "&#61;"),
    "html-hex": lambda line: html.escape(line).replace('"', "&#x22;").replace(":", "&#x3a;").replace(" ", "&nbsp;"),
    "html-quot": html.escape,
    "repr-twice": lambda line: repr(repr({"line": line})),
    "repr-bytes": lambda line: repr({b"raw": line.encode()}),
    "mime-soft": _soft,
    "mime-word": lambda line: f"=?utf-8?B?{_b64(line)}?=",
    "wrap-76": lambda line: _columns(line, 76, ""),
    "wrap-40": lambda line: _columns(line, 40, ""),
    "wrap-indented": lambda line: _columns(line, 60, "    "),
    "wrap-folded": lambda line: "\r\n ".join((line[:40], line[40:])),
    "wrap-backslash": lambda line: _columns(line, 60, "").replace("\n", "\\\n"),
    "wrap-comment": lambda line: _columns(line, 60, "# "),
    "wrap-prefixed": lambda line: _columns(line, 60, "2026-03-01 12:00:00 INFO | "),
    "wrap-words": lambda line: "\n".join(textwrap.wrap(line, 50)),
    "wrap-pprint": lambda line: pprint.pformat({"line": line}, width=40),
    "wrap-concatenated": lambda line: " +\n".join(repr(line[at : at + 50]) for at in range(0, len(line), 50)),
    "ansi-line": lambda line: f"{_ANSI}{line}{_OFF}",
    "ansi-pieces": lambda line: line.replace(" ", f"{_OFF} {_ANSI}").replace('": "', f'"{_OFF}: {_ANSI}"'),
    "ansi-key": lambda line: line.replace(": ", f"{_OFF}: {_ANSI}").replace("=", f"{_OFF}={_ANSI}", 1),
    "ansi-visible": lambda line: line.replace(" ", "^[[0m ^[[32m"),
    "ansi-escaped": lambda line: json.dumps(line.replace(" ", f"{_OFF} {_ANSI}")),
    "zero-width": lambda line: line.replace(" ", f" {_ZW}").replace("=", f"={_ZW}", 1),
    "zero-width-in": lambda line: _ZW.join(line[at : at + 20] for at in range(0, len(line), 20)),
    "bom": lambda line: line.replace(" ", " \ufeff"),
    "nbsp": lambda line: line.replace(" ", "\u00a0"),
    "full-width": lambda line: line.replace(": ", "\uff1a").replace("=", "\uff1d"),
    "typographic": lambda line: (
        line.replace(' "', " \u201c").replace('",', "\u201d,").replace("Bearer ", "Bearer \u2018")
    ),
    "markup-html": lambda line: (
        line.replace("Bearer ", "Bearer <code>").replace(": ", "</b>: ").replace("=", "=<wbr>", 1)
    ),
    "markup-markdown": lambda line: line.replace("Bearer ", "Bearer `").replace("access_token", "**access_token**"),
    "markup-rich": lambda line: line.replace("Bearer ", "Bearer [bold]").replace(
        "access_token", "[red]access_token[/red]"
    ),
    "nul": lambda line: line.replace(" ", "\x00 "),
    "utf16": "\x00".join,
    "hexdump": _hexdump,
    "hex": lambda line: line.encode().hex(),
    "caret-crlf": lambda line: line.replace(", ", ",^M$") + "^M$",
    "octal": lambda line: line.replace(" ", "\\040").replace('"', "\\042"),
    "syslog-escape": lambda line: line.replace(" ", "#040").replace('"', "#042"),
    "nginx-escape": lambda line: line.replace('"', "\\x22").replace(" ", "\\x20"),
}
