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
from bearerwatch.redact.named import BETWEEN, PLAIN, SAID, USUAL
from bearerwatch.redact.names import DECIDING
from bearerwatch.redact.parsed import Atom, alternatives, written
from bearerwatch.redact.patterns import FORMS, Form
from bearerwatch.redact.strings import COMMON

__all__ = ["expressions", "expressions_of_lines", "number_of", "over_lines", "wider"]

_CHOSEN = ("kennwort", "pass", "psk", "pw", "senha", "wachtwoord")
"""Of the words in names of secrets those of passwords, which may be words alone."""
_TWO = ("(?:session|sess|secret)[_-]?id", "code[_-]?verifier")
"""Of the names of secrets those that end with a word that says nothing alone."""
_FILLED = r"[_0-9-]*(?:(?i:ag|b6|ba|co|cu|da|h[edi]|ne|ol|pl|r[ae]|st|te|v)[A-Za-z0-9_-]*)?"
"""What may follow the word that decides: see :data:`bearerwatch.redact.names.FILLERS`."""
_ENOUGH, _FEWER = 8, 4
"""Letters in a row that few lines have: of what something begins with, and of what it goes on with."""
_ANYTHING = (r"[^\r\n]", r"[^\n]", r"[^\n\"']", "[^()]")
_LAST_CLASS = re.compile(
    r"(?:\(\?:\[0-9\]\+\\\|\|s:\|s%3\[Aa\]\)\?)?\[(?P<rest>[^\]]*A-Z[^\]]*)\]\{(?P<least>\d+)\}(?P<ends>\)*)\Z"
)


def expressions() -> list[tuple[int, str]]:
    """Of everything that is told by its form, with its number in ``(*FORMS, *BESIDES)``."""
    of_forms = [(number, expression) for number, form in enumerate(FORMS) for expression in _of(form)]
    return of_forms + [(number, expression) for expression, number in _first_of_each().items() if expression]


def expressions_of_lines() -> list[tuple[int, str]]:
    """The same for many single lines at once: wider still where that is quicker."""
    loosely = {number: _loosely(form) for number, form in enumerate(FORMS) if form.id in _LOOSE}
    return [one for one in expressions() if one[0] not in loosely] + [
        (number, one) for number, looser in loosely.items() for one in looser
    ]


def number_of(place: int) -> int:
    """The number under which the entry at *place* in ``BESIDES`` is looked for: of those alike the first one's."""
    word, _, regex = BESIDES[place]
    return _first_of_each()[_at(word, regex)]


def over_lines(place: int) -> bool:
    """Whether the entry at *place* in ``BESIDES`` may need more than one line: then only its word tells."""
    word, _, regex = BESIDES[place]
    return word in COMMON and (r"[^\x00]" in regex or any(map(_needs_line_end, alternatives(regex, 0)[0])))


@cache
def _first_of_each() -> dict[str, int]:
    first: dict[str, int] = {}
    for number, (word, _, regex) in enumerate(BESIDES, len(FORMS)):
        first.setdefault(_at(word, regex), number)
    return first


@cache
def _at(word: str, regex: str) -> str:
    """What says that an entry of ``BESIDES`` may be worth a look: its word, unless that is in many lines.

    Of a regex that is what it finds in one line.
    """
    if word not in COMMON:
        return f"(?i:{_literal(word)})"
    parsed, _ = alternatives(regex.replace(r"[^\x00]", r"[^\n]"), 0)
    return "|".join(written(_ended(_telling(one))) for one in parsed if not _needs_line_end(one))


def _needs_line_end(sequence: list[Atom]) -> bool:
    return any(
        atom.least > 0 and (atom.text == r"\n" if atom.group is None else all(map(_needs_line_end, atom.group)))
        for atom in sequence
    )


def _literal(word: str) -> str:
    return "".join(letter if letter.isalnum() else f"\\x{ord(letter):02x}" for letter in word)


def _words(form: Form) -> list[str]:
    """From an anchor of *form* on, the words with which names of secrets end."""
    return sorted({word[word.index(anchor) :] for word in DECIDING for anchor in form.anchors if anchor in word})


_BORDER = r"[^A-Za-z0-9_\r\n]"
_JOINT = rf"{_BORDER}*[:=>|\"'`(<{{\[%\\]{_BORDER}*"
"""What joins names and values, as a rule: signs, and one at least that is more than a blank or a hyphen."""
_JOINTS = rf"{_JOINT}(?:[A-Za-z0-9_.!-]+{_JOINT}){{0,2}}"
"""The same with a word or two amid it: a type, a tag, a function."""
_ODD_SIGN = r"[%&(),;<>\[\]{}|]"
_NO_QUOTE = r"[^ \t\n\f\r\"'`\\]"
_ODD_VALUE = rf"(?:[{USUAL}]{{0,5}}{_ODD_SIGN}{_NO_QUOTE}{{2}}|[{USUAL}]{{6}}[{USUAL}]*{_ODD_SIGN}{_NO_QUOTE}*[\"'`])"
"""A value with characters that others have not."""


_LOOSE = frozenset({"foreign", "foreign-key", "named"})
"""Forms that are looked for otherwise in many lines at once."""


def _loosely(form: Form) -> Iterator[str]:
    """A form of names, for many lines at once. Few lines are in a language other than English.

    One expression a word, for what begins with a few letters alone is looked for quickest; and where words stand
    between a name and its value, they tell so much that the name is not asked for.
    """
    if form.id != "named":
        yield from (f"(?i:{_literal(anchor)})" for anchor in form.anchors if anchor.isascii())
        return
    words = [*_words(form), *_TWO]
    value = rf"(?P<t>{PLAIN})"
    chosen = ["masterauth", *(word for word in words if word.startswith(_CHOSEN))]
    told = _told(wider(f"{_JOINTS}{value}"))
    for word in words:
        name = f"(?i:{word}){_FILLED}"
        yield f"{name}{told}|{name}{_JOINTS}{_ODD_VALUE}"
        yield _told(wider(rf"(?i:{word})[^\"\s]{{0,40}}\"(?:\s\"[^\"\s]{{1,12}}\"){{0,2}}\s\"{value}"))
    for word in chosen:
        yield _told(wider(f"(?i:{word}){_FILLED}{_JOINTS}{value}"), _CHOSEN_TELLING)
    for between in (regex for regex, example in BETWEEN if example in SAID):
        yield _told(wider(f"(?:{between}){value}"))
        yield f"{wider(f'(?:{between})')}{_ODD_VALUE}"
    for part in form.wider[1 : len(form.wider) // 2]:
        yield _told(wider(f"(?i:{'|'.join(chosen)}){_FILLED}{part}"), _CHOSEN_TELLING)


def _of(form: Form) -> Iterator[str]:
    anchors = f"(?i:{'|'.join(form.anchors)})"
    if form.id == "named":
        words = _words(form)
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
    parsed, _ = alternatives(regex, 0)
    return "|".join(written(_ended(_telling(sequence))) for sequence in parsed)


def _telling(sequence: list[Atom]) -> list[Atom]:
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
            if behind and _letters(behind) >= _FEWER and not COMMON & set(re.findall("[a-z]+", written(behind))):
                return behind
    return sequence


def _is_anything(atom: Atom) -> bool:
    if atom.group is not None:
        return any(len(one) == 1 and _is_anything(one[0]) for one in atom.group)
    return atom.text in _ANYTHING


def _letters(sequence: list[Atom]) -> int:
    """How many letters and signs *sequence* has at least."""
    count = 0
    for atom in sequence:
        if atom.group is not None:
            count += atom.least * min(map(_letters, atom.group))
        elif len(atom.text) == 1 or (atom.text[0] == "\\" and not atom.text[1].isalnum()):
            count += atom.least
    return count


def _ended(sequence: list[Atom]) -> list[Atom]:
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
