"""Which strings stand in whatever a regex matches, and whether a text has one of many: that is asked much quicker."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from bearerwatch.redact.parsed import Atom, alternatives

__all__ = ["COMMON", "any_of", "asked", "grown", "needed", "which_of"]

_ROOTS = (
    "--", "k", "w", "(", "ss", "si", "ey", "auth", "cr", "dp", "co", "sql", ":5", ".py", "net use", " -",
    "key", "psk", "password", "pass", "secret", "wpa", "wlan", "wifi",
    "?", "header", "ave", "ysql",
)  # fmt: skip
"""What many words have in common: a search for one of them answers for all that have it, as a rule."""
COMMON = frozenset({
    '"-', "'-", "api key", "assw", "auth", "code", "community", "connect ", "cookie", "creds", "encoded", "key", "key ",
    "kty", "pass", "pass ", "passw", "passwd", "password", "password ", "phrase", "private key", "pwd", "secret",
    "secret ", "secrets", "token", " login ", "set passw", "set secret", "set key", "vault",
})  # fmt: skip
"""Of the words of ``BESIDES`` those that stand in many lines that hold no secret."""
_TELLING_SIGNS = frozenset("\"'`([{<|")
_USUAL = frozenset({"arg", "config", "env", "set", "username"})
"""Of what stands beside them the same."""
_ENOUGH = 8
_END = Atom("", None, 0, 0)
_MOST_STRINGS = 64


def needed(regex: str) -> frozenset[str]:
    """In lower case, strings of which one is in whatever *regex* matches; none if that is not known."""
    parsed, _ = alternatives(regex, 0)
    every = [_needed(sequence) for sequence in parsed]
    return frozenset().union(*every) if all(every) else frozenset()


def _needed(sequence: list[Atom]) -> frozenset[str]:
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


def _strings(atom: Atom) -> frozenset[str]:
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
    if string in COMMON or not string:
        return 0
    if "\n" in string:
        return _MOST_STRINGS
    if string in _TELLING_SIGNS:
        return _ENOUGH // 2
    return 1 if string in _USUAL else len(string)


def any_of(words: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text has any of *words*: one expression, which takes half as long as a loop over them."""
    terms = [_term(word, within) for word, within in _tree(set(words), leaves=True).items()]
    found: Callable[[str], bool] = eval(f"lambda low: {' or '.join(terms)}")  # noqa: S307 - as namedtuple does
    return found


def which_of(words: Mapping[str, list[int]]) -> Callable[[str], list[int]]:
    """The numbers of those of *words* that a text has: in no order, and by a function made for it, as that is quick."""
    lines = ["def found(low):", " numbers = []", *_branches(_tree(words), words, 1), " return numbers"]
    made: dict[str, Callable[[str], list[int]]] = {}
    exec("\n".join(lines), made)  # noqa: S102 - as namedtuple does
    return made["found"]


def asked(regex: str) -> Callable[[str], bool]:
    """Whether a text in lower case may have what *regex* finds: quicker, where it has not, than looking."""
    strings = needed(regex)
    return any_of(strings) if strings else lambda _: True


class _Tree(dict[str, "_Tree"]):
    """Strings, and within each of them those that have it in them: where it is not, they need not be looked for."""


def _tree(words: Collection[str], *, leaves: bool = False) -> _Tree:
    tree = _Tree()
    roots = [root for root in _ROOTS if sum(root in word for word in words) > 1]
    for word in sorted({*words, *roots}, key=lambda word: (len(word), word)):
        at, last = tree, ""
        while (inner := next((other for other in at if other in word), None)) is not None:
            at, last = at[inner], inner
        if not (leaves and last in words):  # whatever has that in it adds nothing
            at[word] = _Tree()
    return _pruned(tree, words)


def _pruned(tree: _Tree, words: Collection[str]) -> _Tree:
    pruned = {word: _pruned(within, words) for word, within in tree.items()}
    return _Tree({word: within for word, within in pruned.items() if within or word in words})


def _term(word: str, within: _Tree) -> str:
    inner = " or ".join(_term(*each) for each in within.items())
    return f"({word!r} in low and ({inner}))" if inner else f"{word!r} in low"


def _branches(tree: _Tree, numbers: Mapping[str, list[int]], depth: int) -> Iterator[str]:
    for word, within in tree.items():
        yield f"{' ' * depth}if {word!r} in low:"
        if word in numbers:
            yield f"{' ' * depth} numbers += {tuple(numbers[word])}"
        yield from _branches(within, numbers, depth + 1)


def grown(words: Iterable[str]) -> str:
    """A regex for any of *words*, in which what they begin with alike is tried once."""
    rest: dict[str, list[str]] = {}
    for word in sorted(words):
        if not word:
            return ""
        rest.setdefault(word[0], []).append(word[1:])
    branches = [re.escape(first) + grown(after) for first, after in rest.items()]
    return f"(?:{'|'.join(branches)})" if len(branches) > 1 else branches[0]
