"""The gate: whether a text has any of the anchors, and where. Most lines have none, and cost next to nothing.

In pure Python that is a handful of substring searches: for the words that stand before secrets always, for the marks
of issuers only where a run of characters is long enough to be a token of theirs. With the ``accel`` extra one pass of
Hyperscan over all forms comes before, and most lines need nothing else, those that only speak of tokens included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache

from bearerwatch.redact._accel import Prefilter
from bearerwatch.redact.coarse import expressions, needed, number_of, over_lines
from bearerwatch.redact.exact import ANCHORS, BESIDES, Candidates
from bearerwatch.redact.patterns import FORMS, LONG
from bearerwatch.redact.spans import Span
from bearerwatch.redact.views import HIDING, NOISY, noisy

__all__ = ["ENCODED", "NOISE", "PREFILTER", "by_search", "disguised", "encoded", "kinds_of"]

_Find = Callable[[str], list[Span]]
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _any_of(words: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text has any of *words*: one expression, which takes half as long as a loop over them.

    Words share letters, and a search for one of those answers for all that have it, as a rule.
    """
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(next((root for root in _ROOTS if root in word), ""), []).append(word)
    terms = []
    for root, group in groups.items():
        least = [word for word in group if not any(other != word and other in word for other in group)]
        searches = " or ".join(f"{word!r} in low" for word in least)
        terms.append(f"({root!r} in low and ({searches}))" if root and least != [root] else searches)
    found: Callable[[str], bool] = eval(f"lambda low: {' or '.join(terms)}")  # noqa: S307 - as namedtuple does
    return found


_STEMS = ("key", "psk", "password", "pass", "secret", "wpa", "wlan", "wifi")
"""What words with one root share besides."""
_ROOTS = ("--", "k", "w", "(", "ss", "si", "ey", "auth", "cr", "dp", "co", "sql", ":5", ".py", "net use", " -")


def _grown(words: Iterable[str]) -> str:
    """A regex for any of *words*, in which what they begin with alike is tried once."""
    rest: dict[str, list[str]] = {}
    for word in sorted(words):
        if not word:
            return ""
        rest.setdefault(word[0], []).append(word[1:])
    grown = [re.escape(first) + _grown(after) for first, after in rest.items()]
    return f"(?:{'|'.join(grown)})" if len(grown) > 1 else grown[0]


def _grouped(
    anchors: Iterable[tuple[int, str]], roots: tuple[str, ...] = _ROOTS
) -> tuple[tuple[str, tuple[tuple[int, str], ...]], ...]:
    """*anchors* by what several have in common."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for index, anchor in anchors:
        root = next((root for root in roots if root in anchor), anchor)
        groups.setdefault(root, []).append((index, anchor))
    return tuple((root, tuple(group)) for root, group in groups.items())


_MARKS = tuple((index, anchor) for index, anchor in enumerate(ANCHORS) if anchor in LONG)
_OTHERS = _grouped((i, anchor) for i, anchor in enumerate(ANCHORS) if anchor.isascii() and anchor not in LONG)
_speaks = _any_of(a for a in (*ANCHORS, *(word for word, _, _ in BESIDES)) if a.isascii() and a not in LONG)
"""Whether a text in lower case has any word or sign that stands before secrets."""
_ANCHORS = tuple(tuple(ANCHORS.index(anchor) for anchor in form.anchors) for form in FORMS) + ((),) * len(BESIDES)
"""Of everything that is told by its form."""
_ONLY_LONG = frozenset(index for index, _ in _MARKS)
_FOREIGN = tuple((i, anchor) for i, anchor in enumerate(ANCHORS) if not anchor.isascii())


@cache
def _mark() -> re.Pattern[str]:
    """The mark of any issuer."""
    return re.compile(_grown(LONG))


_SIGNS = {"x": "_-", "y": "+/", "!": "%\\&\n\x1b\x00", "#": "#^"}


def _kind(byte: int) -> str:
    character = chr(byte)
    if character.isalnum() and byte < 128:
        return "x"
    return next((kind for kind, those in _SIGNS.items() if character in those), " ")


# Every byte as what it is: a character of base64url, one that standard base64 has besides, one that may stand for
# something else, one that does so with the next, or another.
_KINDS = "".join(map(_kind, range(256))).encode()
_BESIDE = tuple((root, _grouped(words, _STEMS)) for root, words in _grouped(enumerate(word for word, _, _ in BESIDES)))
ENCODED = len(FORMS) + len(BESIDES)
NOISE = ENCODED + 1
"""What makes a text worth a closer look: that a form matches (its number), or it may hold a token that is encoded, or
one in disguise."""
PREFILTER = Prefilter(
    lambda: [*expressions(), *((ENCODED, run) for run in HIDING), (NOISE, NOISY)],
)
"""Which of these an ASCII text may be."""
_LONG = "x" * 20
"""No token that is told by its issuer's mark alone is shorter, and without as many of them."""
_WIDE = re.compile(r"[A-Za-z0-9_+/.~=%@:-]{20,}")
"""Where such a token stands with its mark."""
_HEX = re.compile(r"[0-9a-f-]*\Z")
"""Which is no mark of anybody's; UUIDs and digests are that alone."""
_ENCODED_RUN = "x" * 32


def kinds_of(text: str) -> str:
    """What each character of *text* is to a token."""
    return text.encode("ascii", "replace").translate(_KINDS).decode()


def encoded(kinds: str) -> bool:
    """Whether there is a run that may be base64 or hex of another text."""
    return _ENCODED_RUN in kinds or ("y" in kinds and _ENCODED_RUN in kinds.replace("y", "x"))


def disguised(text: str, kinds: str) -> bool:
    """Whether *text* might mean something else than it says: see :func:`bearerwatch.redact.views.noisy`."""
    return "!" in kinds or ("#" in kinds and noisy(text)) or not text.isascii()


def by_search(text: str, kinds: str, looks: list[int] | None = None) -> list[Span]:
    """What in *text* is a token by its form: substring searches first, then the forms of the anchors they find.

    Args:
        text: what may hold tokens.
        kinds: what its characters are to tokens.
        looks: the numbers of the forms that may match in it; ``None`` for all.
    """
    low = text.lower() if text.isascii() else text.translate(_ASCII_LOWER)  # offsets stay those of *text*
    present, beside = _present(text, low, kinds) if looks is None else _looked_for(low, kinds, looks)
    if not present and not beside:
        return []
    candidates = Candidates(text)
    for index in present:
        candidates.search(index, low)
    for find in beside:
        candidates.found += find(text)
    return candidates.found


def _present(text: str, low: str, kinds: str) -> tuple[list[int], list[_Find]]:
    """The anchors that stand in a text, *low* in lower case, and may begin a token there; and what else finds some."""
    present: list[int] = []
    places: list[int] = []
    if _speaks(low):
        present = [index for root, anchors in _OTHERS if root in low for index, anchor in anchors if anchor in low]
        for root, groups in _BESIDE:
            if root in low:
                for stem, words in groups:
                    if stem in low:
                        places += [at for at, word in words if word in low and _may(at)(low)]
    if not low.isascii():
        present += [index for index, anchor in _FOREIGN if anchor in low]
    if _LONG in kinds:
        wide = [run for run in _WIDE.findall(text) if not _HEX.match(run)]
        if wide:
            runs = "\n".join(wide).lower()
            if _mark().search(runs):
                present += [index for index, anchor in _MARKS if anchor in runs]
    present.sort()
    places.sort()  # in the same order with Hyperscan and without
    return present, [BESIDES[at][1] for at in places]


@cache
def _may(place: int) -> Callable[[str], bool]:
    """Whether a text in lower case may have what the entry at *place* in ``BESIDES`` finds, beside its word."""
    strings = needed(BESIDES[place][2])
    return _any_of(strings) if strings else lambda _: True


_number, _over_lines = cache(number_of), cache(over_lines)  # importing the app side has to be quick


def _looked_for(low: str, kinds: str, looks: list[int]) -> tuple[list[int], list[_Find]]:
    """Those of them that the forms numbered *looks* have."""
    many = {index for number in looks for index in _ANCHORS[number] if ANCHORS[index] in low}
    present = sorted(many if _LONG in kinds else many - _ONLY_LONG)
    lines = "\n" in low
    if not lines and max(looks, default=0) < len(FORMS):
        return present, []
    return present, [
        find
        for place, (word, find, _) in enumerate(BESIDES)
        if word in low and (_number(place) in looks or (lines and _over_lines(place)))
    ]
