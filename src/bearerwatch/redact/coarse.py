"""Forms as Hyperscan can take them: each made wider, never narrower, for a gate may only let too much through.

What Hyperscan does not know (looking ahead or behind, atomic groups, possessive repetition) only restricts what
matches, so it is left out; bounded repetition, which costs it much, is made unbounded; and a match ends where it
can end first, for every further place would be reported too. Of text beyond ASCII nothing is said: it is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from bearerwatch.redact.exact import BESIDES
from bearerwatch.redact.names import DECIDING
from bearerwatch.redact.patterns import FORMS, Form

__all__ = ["expressions", "needed", "number_of", "over_lines", "wider"]

_LOOK = ("(?=", "(?!", "(?<=", "(?<!")
_OPENS = re.compile(r"\((?:\?(?:P<[a-z]+>|>|:|(i:)))?")
_BEFORE = re.compile(r"\(\?<!\[(?P<not>\^)?(?P<rest>(?:[^\]\\]|\\.)+\])\)")
_TIMES = re.compile(r"(?:\{(?P<least>\d+)(?P<range>,(?P<most>\d*))?\}|(?P<sign>[*+?]))[+?]?")
_SIGNS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_FEW = 2
# Python's \s in ASCII; what is not space to Hyperscan is more than what is none to Python.
_SPACE, _NO_SPACE_BUT = r"\x09-\x0d\x1c-\x20", r" \t\n\f\r"
_CHOSEN = ("kennwort", "pass", "psk", "pw", "senha", "wachtwoord")
"""Of the words in names of secrets those of passwords, which may be words alone."""
_TWO = ("(?:session|sess|secret)[_-]?id", "code[_-]?verifier")
"""Of the names of secrets those that end with a word that says nothing alone."""
_FILLED = r"[_0-9-]*(?:(?i:ag|b6|ba|co|cu|da|h[edi]|ne|ol|pl|r[ae]|st|te|v)[A-Za-z0-9_-]*)?"
"""What may follow the word that decides: see :data:`bearerwatch.redact.names.FILLERS`."""
_COMMON = frozenset({
    '"-', "'-", "api key", "assw", "auth", "code", "community", "connect ", "cookie", "creds", "encoded", "key", "key ",
    "kty", "pass", "pass ", "passw", "passwd", "password", "password ", "phrase", "private key", "pwd", "secret",
    "secret ", "secrets", "token", " login ", "set passw", "set secret", "set key", "vault",
})  # fmt: skip
"""Of the words of ``BESIDES`` those that stand in many lines that hold no secret."""
_TELLING_SIGNS = frozenset("\"'`([{<|")
_USUAL = frozenset({"arg", "config", "env", "set", "username"})
"""Of what stands beside them the same."""
_ENOUGH, _FEWER = 8, 5
"""Letters in a row that few lines have: of what something begins with, and of what it goes on with."""
_ANYTHING = (r"[^\r\n]", r"[^\n]", "[^()]")
_LAST_CLASS = re.compile(
    r"(?:\(\?:\[0-9\]\+\\\|\|s:\|s%3\[Aa\]\)\?)?\[(?P<rest>[^\]]*A-Z[^\]]*)\]\{(?P<least>\d+)\}(?P<ends>\)*)\Z"
)


class _Atom(NamedTuple):
    """A character, a class or a group, and how often it stands there."""

    text: str
    """Of a group how it opens."""
    group: list[list[_Atom]] | None
    least: int
    most: int | None


_END = _Atom("", None, 0, 0)
_MOST_STRINGS = 64


def expressions() -> list[tuple[int, str]]:
    """Of everything that is told by its form, with its number in ``(*FORMS, *BESIDES)``."""
    of_forms = [(number, expression) for number, form in enumerate(FORMS) for expression in _of(form)]
    return of_forms + [(number, expression) for expression, number in _first_of_each().items() if expression]


def number_of(place: int) -> int:
    """The number under which the entry at *place* in ``BESIDES`` is looked for: of those alike the first one's."""
    word, _, regex = BESIDES[place]
    return _first_of_each()[_at(word, regex)]


def over_lines(place: int) -> bool:
    """Whether the entry at *place* in ``BESIDES`` may need more than one line: then only its word tells."""
    word, _, regex = BESIDES[place]
    return word in _COMMON and (r"[^\x00]" in regex or any(map(_needs_line_end, _alternatives(regex, 0)[0])))


@cache
def _first_of_each() -> dict[str, int]:
    first: dict[str, int] = {}
    for number, (word, _, regex) in enumerate(BESIDES, len(FORMS)):
        first.setdefault(_at(word, regex), number)
    return first


def needed(regex: str) -> frozenset[str]:
    """In lower case, strings of which one is in whatever *regex* matches; none if that is not known."""
    parsed, _ = _alternatives(regex, 0)
    every = [_needed(sequence) for sequence in parsed]
    return frozenset().union(*every) if all(every) else frozenset()


def _needed(sequence: list[_Atom]) -> frozenset[str]:
    best: frozenset[str] = frozenset()
    runs = frozenset({""})
    for atom in [*sequence, _END]:
        letters = _strings(atom)
        if letters and len(runs) * len(letters) <= _MOST_STRINGS:
            runs = frozenset(run + more for run in runs for more in letters)
            continue
        best = max(best, runs, key=_worth)
        runs = frozenset({""})
        if atom.group is not None and atom.least > 0:
            inner = [_needed(alternative) for alternative in atom.group]
            if all(inner):
                best = max(best, frozenset().union(*inner), key=_worth)
    return best if _worth(best) > 0 else frozenset()


def _strings(atom: _Atom) -> frozenset[str]:
    """What *atom* is, if that is one of some strings."""
    if (atom.least, atom.most) != (1, 1):
        return frozenset()
    if atom.group is None:
        if atom.text in ("", ".", "^", "$", r"\n"):
            return frozenset({"\n"}) if atom.text == r"\n" else frozenset()
        if atom.text[0] == "[" and set(signs := atom.text[1:-1].replace("\\", "")) <= _TELLING_SIGNS:
            return frozenset(signs)
        plain = atom.text[1:] if atom.text[:1] == "\\" and not atom.text[1].isalnum() else atom.text
        return frozenset({plain.lower()}) if len(plain) == 1 and plain.isascii() else frozenset()
    found: set[str] = set()
    for alternative in atom.group:
        strings = list(map(_strings, alternative))
        if any(len(one) != 1 for one in strings):
            return frozenset()
        found.add("".join(next(iter(one)) for one in strings))
    return frozenset(found)


def _worth(strings: frozenset[str]) -> int:
    """How much it tells that one of *strings* is in a text."""
    return min(map(_worth_of, strings), default=0)


def _worth_of(string: str) -> int:
    if string in _COMMON or not string:
        return 0
    if "\n" in string:
        return _MOST_STRINGS
    if string in _TELLING_SIGNS:
        return _ENOUGH // 2
    return 1 if string in _USUAL else len(string)


@cache
def _at(word: str, regex: str) -> str:
    """What says that an entry of ``BESIDES`` may be worth a look: its word, unless that is in many lines.

    Of a regex that is what it finds in one line.
    """
    if word not in _COMMON:
        return f"(?i:{_literal(word)})"
    parsed, _ = _alternatives(regex.replace(r"[^\x00]", r"[^\n]"), 0)
    return "|".join(_written(_ended(_telling(one))) for one in parsed if not _needs_line_end(one))


def _needs_line_end(sequence: list[_Atom]) -> bool:
    return any(
        atom.least > 0 and (atom.text == r"\n" if atom.group is None else all(map(_needs_line_end, atom.group)))
        for atom in sequence
    )


def _literal(word: str) -> str:
    return "".join(letter if letter.isalnum() else f"\\x{ord(letter):02x}" for letter in word)


def _of(form: Form) -> Iterator[str]:
    anchors = f"(?i:{'|'.join(form.anchors)})"
    if form.id == "named":
        words = sorted({word[word.index(anchor) :] for word in DECIDING for anchor in form.anchors if anchor in word})
        chosen = [word for word in words if word.startswith(_CHOSEN)]
        # A name ends with the word that decides, or with one of few that may follow it.
        every = f"(?i:{'|'.join([*words, *_TWO])}){_FILLED}"
        plain, quoted = form.wider[: len(form.wider) // 2], form.wider[len(form.wider) // 2 :]
        for part in plain:
            yield _told(wider(f"(?i:masterauth|{'|'.join(chosen)}){_FILLED}{part}"), _CHOSEN_TELLING)
            yield _told(wider(f"{every}{part}"))
        for part in quoted:
            yield wider(f"{every}{part}")
    elif form.id == "near":
        yield wider(f"{anchors}{form.regex}")
    elif form.id == "bearer":
        first, *others = form.wider
        yield _told(wider(first))
        yield from map(wider, others)
    else:
        yield from map(wider, form.wider or (form.regex,))


class _Telling(NamedTuple):
    """What shows early in a value that it is no word."""

    first: str
    """A class of characters that tell if the value begins with one."""
    sign: str
    """A class of characters that tell behind that."""
    length: int
    """Of what has none of them, and tells for its length."""


_KEYED_TELLING = _Telling("0-9", "A-Z0-9", 16)
"""See :func:`bearerwatch.redact.checks.telling`."""
_CHOSEN_TELLING = _Telling("A-Z0-9~+/=:!$#*@^?", "A-Z0-9~+/=:!$#*@^?", 10)
"""Of passwords: see :mod:`bearerwatch.redact.checks`."""


def _told(expression: str, telling: _Telling = _KEYED_TELLING) -> str:
    """*expression*, whose end is the beginning of a value that must not be a word."""
    last = _LAST_CLASS.search(expression)
    if last is None:
        message = f"a value stands at the end: {expression[-40:]}"
        raise ValueError(message)
    every = last["rest"]
    plain = every.replace("A-Z", "").replace("0-9", "")
    for sign in telling.sign[6:]:
        plain = plain.replace(sign, "")
    least = int(last["least"])
    values = [f"[{telling.first}][{every}]{{{least - 1}}}"]
    values += [
        f"[{every}]{_run(plain, place - 1)}[{telling.sign}]{_run(every, least - 1 - place)}"
        for place in range(1, least - 1)
    ]
    values.append(f"[{every}][{plain}]{{{least - 2},{telling.length - 2}}}[{telling.sign}]")
    values.append(f"[{every}][{plain}]{{{telling.length - 1}}}")
    # The number of a row tells by itself.
    return f"{expression[: last.start()]}(?:[0-9]+\\||s%3[Aa]|(?:s:)?(?:{'|'.join(values)})){last['ends']}"


def _run(characters: str, length: int) -> str:
    return f"[{characters}]{{{length}}}" if length else ""


def wider(regex: str) -> str:
    """*regex*, as Python writes it, without what restricts it only, and as short as it can match."""
    parsed, _ = _alternatives(regex, 0)
    return "|".join(_written(_ended(_telling(sequence))) for sequence in parsed)


def _telling(sequence: list[_Atom]) -> list[_Atom]:
    """Of *sequence* what stands before a place where anything may come, or behind it, if that tells enough.

    An automaton that looks for both would have to be run through all of a line.
    """
    if len(sequence) == 1 and sequence[0].group is not None and (sequence[0].least, sequence[0].most) == (1, 1):
        group = [_telling(alternative) for alternative in sequence[0].group]
        return [sequence[0]._replace(group=group)]
    for place, atom in enumerate(sequence):
        if atom.most is None and _is_anything(atom):
            before, behind = sequence[:place], sequence[place + 1 :]
            if _letters(before) >= _ENOUGH:
                return before
            if behind and _letters(behind) >= _FEWER and not _COMMON & set(re.findall("[a-z]+", _written(behind))):
                return behind
    return sequence


def _is_anything(atom: _Atom) -> bool:
    if atom.group is not None:
        return any(len(one) == 1 and _is_anything(one[0]) for one in atom.group)
    return atom.text in _ANYTHING


def _letters(sequence: list[_Atom]) -> int:
    """How many letters and signs *sequence* has at least."""
    count = 0
    for atom in sequence:
        if atom.group is not None:
            count += atom.least * min(map(_letters, atom.group))
        elif len(atom.text) == 1 or (atom.text[0] == "\\" and not atom.text[1].isalnum()):
            count += atom.least
    return count


def _alternatives(regex: str, at: int, *, first: bool = True) -> tuple[list[list[_Atom]], int]:
    """What stands between *at* and the end of the group, and where that is.

    Where that comes *first*, a character that must not stand before it can be asked for as well.
    """
    parsed: list[list[_Atom]] = [[]]
    while at < len(regex) and regex[at] != ")":
        if regex[at] == "|":
            parsed.append([])
            at += 1
            continue
        before = _BEFORE.match(regex, at)
        if first and before is not None and not parsed[-1]:
            others = f"[{before['rest']}" if before["not"] else f"[^{before['rest']}"
            parsed[-1].append(_Atom("(?:", [[_Atom("^", None, 1, 1)], [_Atom(_class(others), None, 1, 1)]], 1, 1))
            at = before.end()
            continue
        if regex.startswith(_LOOK, at):
            _, at = _alternatives(regex, at + (4 if regex[at + 2] == "<" else 3))
            at += 1
            continue
        group = None
        opens = _OPENS.match(regex, at)
        if opens is not None:
            leads = first and not parsed[-1]
            group, end = _alternatives(regex, opens.end(), first=leads)
            if leads and _TIMES.match(regex, end + 1):
                group, _ = _alternatives(regex, opens.end(), first=False)
            text, at = f"(?{opens[1] or ':'}", end + 1
        else:
            text, at = _single(regex, at)
        times = _TIMES.match(regex, at)
        least, most = (1, 1) if times is None else _repeated(times)
        at = at if times is None else times.end()
        if text:
            parsed[-1].append(_Atom(text, group, least, most))
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


def _ended(sequence: list[_Atom]) -> list[_Atom]:
    """*sequence* without what may stand at its end, but need not."""
    while sequence:
        *before, last = sequence
        if last.least == 0:
            sequence = before
            continue
        group = last.group
        if group is not None and last.least == 1:
            group = [_ended(alternative) for alternative in group]
            if not all(group):
                sequence = before
                continue
        return [*before, last._replace(group=group, most=last.least)]
    return []


def _written(sequence: list[_Atom]) -> str:
    return "".join(_text(atom) + _times(atom) for atom in sequence)


def _text(atom: _Atom) -> str:
    if atom.group is None:
        return atom.text
    return f"{atom.text}{'|'.join(_written(alternative) for alternative in atom.group)})"


def _times(atom: _Atom) -> str:
    least, most = atom.least, atom.most
    if (least, most) == (1, 1):
        return ""
    for sign, usual in _SIGNS.items():
        if (least, most) == usual:
            return sign
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"
