"""Regexes taken apart into what stands in them one after the other, as far as Hyperscan can take it.

Bounded repetition is made unbounded but for the smallest, looking ahead and behind is left out, and so are characters
beyond ASCII: what is written again from that matches more than the regex did, never less.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Atom", "alternatives", "written"]

_LOOK = ("(?=", "(?!", "(?<=", "(?<!")
_OPENS = re.compile(r"\((?:\?(?:P<[a-z]+>|>|:|(i:)))?")
_BEFORE = re.compile(r"\(\?<!\[(?P<not>\^)?(?P<rest>(?:[^\]\\]|\\.)+\])\)")
_TIMES = re.compile(r"(?:\{(?P<least>\d+)(?P<range>,(?P<most>\d*))?\}|(?P<sign>[*+?]))[+?]?")
_SIGNS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_FEW = 2
# Python's \s in ASCII; what is not space to Hyperscan is more than what is none to Python.
_SPACE, _NO_SPACE_BUT = r"\x09-\x0d\x1c-\x20", r" \t\n\f\r"


class Atom(NamedTuple):
    """A character, a class or a group, and how often it stands there."""

    text: str
    """Of a group how it opens."""
    group: list[list[Atom]] | None
    least: int
    most: int | None


def alternatives(regex: str, at: int, *, first: bool = True) -> tuple[list[list[Atom]], int]:
    """What stands between *at* and the end of the group, and where that is.

    Where that comes *first*, a character that must not stand before it can be asked for as well.
    """
    parsed: list[list[Atom]] = [[]]
    while at < len(regex) and regex[at] != ")":
        if regex[at] == "|":
            parsed.append([])
            at += 1
            continue
        before = _BEFORE.match(regex, at)
        if first and before is not None and not parsed[-1]:
            others = f"[{before['rest']}" if before["not"] else f"[^{before['rest']}"
            parsed[-1].append(Atom("(?:", [[Atom("^", None, 1, 1)], [Atom(_class(others), None, 1, 1)]], 1, 1))
            at = before.end()
            continue
        if regex.startswith(_LOOK, at):
            _, at = alternatives(regex, at + (4 if regex[at + 2] == "<" else 3))
            at += 1
            continue
        group = None
        opens = _OPENS.match(regex, at)
        if opens is not None:
            leads = first and not parsed[-1]
            group, end = alternatives(regex, opens.end(), first=leads)
            if leads and _TIMES.match(regex, end + 1):
                group, _ = alternatives(regex, opens.end(), first=False)
            text, at = f"(?{opens[1] or ':'}", end + 1
        else:
            text, at = _single(regex, at)
        times = _TIMES.match(regex, at)
        least, most = (1, 1) if times is None else _repeated(times)
        at = at if times is None else times.end()
        if text:
            parsed[-1].append(Atom(text, group, least, most))
    return parsed, at


def _repeated(times: re.Match[str]) -> tuple[int, int | None]:
    if times["sign"]:
        return _SIGNS[times["sign"]]
    least = int(times["least"])
    if times["range"] is None:
        return least, least
    most = int(times["most"]) if times["most"] else None
    return least, most if most is not None and most <= _FEW else None


def _single(regex: str, at: int) -> tuple[str, int]:
    if regex[at] == "[":
        end = _class_end(regex, at)
        return _class(regex[at:end]), end
    if regex.startswith("\\u", at):
        return r"\x00", at + 6
    if regex.startswith("\\Z", at):
        return "", at + 2
    if regex[at] == "\\":
        end = at + (4 if regex[at + 1] == "x" else 2)
        return (f"[{_SPACE}]" if regex[at + 1] == "s" else regex[at:end]), end
    if regex[at] == "{":  # that repeats nothing, which to some engines would be an error
        return r"\{", at + 1
    return (regex[at] if regex[at].isascii() else r"\x00"), at + 1


def _class_end(regex: str, at: int) -> int:
    at += 2 if regex.startswith("[^", at) else 1
    at += regex.startswith("]", at)
    while regex[at] != "]":
        at += 2 if regex[at] == "\\" else 1
    return at + 1


def _class(text: str) -> str:
    """A class of characters, those beyond ASCII left out: a text that is asked about has none."""
    text = re.sub(r"\\u[0-9a-f]{4}|[^\x00-\x7f]", "", text)
    text = text.replace(r"\s", _NO_SPACE_BUT if text.startswith("[^") else _SPACE)
    return text if text not in ("[]", "[-]") else r"[\x00-]"


def written(sequence: list[Atom]) -> str:
    """*sequence* as a regex again."""
    return "".join(_text(atom) + _times(atom) for atom in sequence)


def _text(atom: Atom) -> str:
    if atom.group is None:
        return atom.text
    return f"{atom.text}{'|'.join(written(alternative) for alternative in atom.group)})"


def _times(atom: Atom) -> str:
    least, most = atom.least, atom.most
    if (least, most) == (1, 1):
        return ""
    for sign, usual in _SIGNS.items():
        if (least, most) == usual:
            return sign
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"
