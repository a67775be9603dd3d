"""Stored values are hostile text: what may go to a terminal, a log line or a chat room unharmed.

The characters escaped are those ``str.isprintable`` refuses: controls (ANSI escapes, carriage returns,
line feeds), format characters (bidirectional overrides, zero-width), line and paragraph separators,
surrogates, private and unassigned code points. CWE-117, CWE-150; https://trojansource.codes/
"""

from __future__ import annotations

from typing import Any

__all__ = ["MAX_LENGTH", "plain", "printable"]

MAX_LENGTH = 300
"""Values longer than this many characters are cut."""


def printable(value: Any, limit: int = MAX_LENGTH) -> str:
    r"""*value* as one line of printable text: everything else becomes ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    Args:
        value: anything; ``None`` gives an empty string.
        limit: longest result in characters of the input, cut with an ellipsis.
    """
    text = "" if value is None else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# Look-alikes: U+FF20 fullwidth commercial at, U+2039 and U+203A single angle quotation marks.
_CHAT = str.maketrans({"@": "\uff20", "<": "\u2039", ">": "\u203a"})


def plain(text: str) -> str:
    """*text* for chat services that read ``@everyone``, ``<!channel>`` or ``<url|label>`` in plain text."""
    return text.translate(_CHAT)
