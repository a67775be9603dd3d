"""Forms as Hyperscan can take them: each made wider, never narrower, for a gate may only let too much through.

What Hyperscan does not know (looking ahead or behind, atomic groups, possessive repetition) only restricts what
matches, so it is left out; and bounded repetition, which costs it much, is made unbounded. Of text beyond ASCII nothing
is said: it is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bearerwatch.redact.patterns import FORMS

__all__ = ["expressions", "wider"]

_LOOK = ("(?=", "(?!", "(?<=", "(?<!")
_NAME = re.compile(r"\(\?P<[a-z]+>")
_BOUNDED = re.compile(r"\{(\d+),(\d+)\}")
_FEW = 2
# Python's \s in ASCII; what is not space to Hyperscan is more than what is none to Python.
_SPACE, _NO_SPACE_BUT = r"\x09-\x0d\x1c-\x20", r" \t\n\f\r"


def expressions() -> list[str]:
    """Of every form one, in their order."""
    # The pattern for names begins at an anchor, and takes it for a part of the name.
    return [wider(f"(?i:{'|'.join(f.anchors)}){f.regex}" if f.id == "named" else f.regex) for f in FORMS]


def wider(regex: str) -> str:
    """*regex*, as Python writes it, without what restricts it only."""
    made = "".join(_parts(regex))
    return _BOUNDED.sub(lambda match: match[0] if int(match[2]) <= _FEW else f"{{{match[1]},}}", made)


def _parts(regex: str) -> Iterator[str]:
    at, last = 0, ""
    while at < len(regex):
        named = _NAME.match(regex, at)
        if regex[at] == "[":
            end = _class_end(regex, at)
            part, at = _class(regex[at:end]), end
        elif regex.startswith(_LOOK, at):
            at = _group_end(regex, at)
            continue
        elif named is not None or regex.startswith("(?>", at):
            part, at = "(?:", named.end() if named is not None else at + 3
        elif regex.startswith("\\u", at):
            part, at = r"\x00", at + 6
        elif regex[at] == "\\":
            part, at = (f"[{_SPACE}]" if regex[at + 1] == "s" else regex[at : at + 2]), at + 2
        elif regex[at] == "+" and last in ("+", "*", "?", "}"):
            at += 1  # possessive
            continue
        else:
            part, at = regex[at], at + 1
        yield part if part.isascii() else r"\x00"
        last = part


def _class(text: str) -> str:
    """A class of characters, those beyond ASCII left out: a text that is asked about has none."""
    text = re.sub(r"\\u[0-9a-f]{4}|[^\x00-\x7f]", "", text)
    text = text.replace(r"\s", _NO_SPACE_BUT if text.startswith("[^") else _SPACE)
    return text if text not in ("[]", "[-]") else r"[\x00-]"


def _class_end(regex: str, at: int) -> int:
    at += 2 if regex.startswith("[^", at) else 1
    at += regex.startswith("]", at)
    while regex[at] != "]":
        at += 2 if regex[at] == "\\" else 1
    return at + 1


def _group_end(regex: str, at: int) -> int:
    depth = 0
    while True:
        if regex[at] == "[":
            at = _class_end(regex, at)
            continue
        if regex[at] == "\\":
            at += 2
            continue
        depth += (regex[at] == "(") - (regex[at] == ")")
        at += 1
        if depth == 0:
            return at
