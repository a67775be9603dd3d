"""How servers write in a log what would end a field or a line."""

from __future__ import annotations

import re

__all__ = ["apache", "gunicorn", "json_string", "nginx", "plain"]

_HEX = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+")
_APACHE = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+|\\.")
_JSON = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\.")
_LETTERS = {"b": "\b", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "f": "\f", "a": "\a"}


def _bytes(run: re.Match[str]) -> str:
    return bytes.fromhex(run[0].replace("\\x", "")).decode("utf-8", "replace")


def plain(text: str) -> str:
    """Nothing is escaped."""
    return text


def nginx(text: str) -> str:
    r"""``\xHH`` for quotes, backslashes and what is not ASCII: nginx's ``escape=default``."""
    return _HEX.sub(_bytes, text) if "\\" in text else text


def apache(text: str) -> str:
    r"""``\xhh``, ``\"``, ``\\`` and C's letters: Apache httpd since 2.0.46."""
    return _APACHE.sub(lambda run: _bytes(run) if run[0][1] == "x" and len(run[0]) > 2 else _letter(run), text)


def json_string(text: str) -> str:
    r"""What stands in a JSON string (RFC 8259 §7): nginx's ``escape=json``."""
    return _JSON.sub(lambda run: _units(run) if run[0][1] == "u" and len(run[0]) > 2 else _letter(run), text)


def gunicorn(text: str) -> str:
    r"""``\"`` for a quote, and nothing else."""
    return text.replace('\\"', '"')


def _letter(run: re.Match[str]) -> str:
    letter = run[0][1]
    return _LETTERS.get(letter, letter)


def _units(run: re.Match[str]) -> str:
    return bytes.fromhex(run[0].replace("\\u", "")).decode("utf-16-be", "replace")
