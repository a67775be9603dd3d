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
from bearerwatch.redact.coarse import expressions, expressions_of_lines, number_of, over_lines
from bearerwatch.redact.exact import ANCHORS, BESIDES, Candidates
from bearerwatch.redact.patterns import FORMS, LONG
from bearerwatch.redact.spans import Span
from bearerwatch.redact.strings import asked, grown, which_of
from bearerwatch.redact.views import HIDING, HIDING_LOOSELY, LISTED, NOISY, noisy

__all__ = ["ENCODED", "LINES", "NOISE", "PREFILTER", "by_search", "disguised", "encoded", "kinds_of"]

_Find = Callable[[str], list[Span]]
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


_MARKS = tuple((index, anchor) for index, anchor in enumerate(ANCHORS) if anchor in LONG)
_PLACES = len(ANCHORS)
"""From here on numbers are of ``BESIDES``."""


def _words() -> dict[str, list[int]]:
    """What stands before secrets, in lower case, with its numbers."""
    words: dict[str, list[int]] = {}
    for number, word in enumerate((*ANCHORS, *(word for word, _, _ in BESIDES))):
        if word.isascii() and word not in LONG:
            words.setdefault(word, []).append(number)
    return words


_speaks = which_of(_words())
"""The numbers of those that a text in lower case has."""
_ANCHORS = tuple(tuple(ANCHORS.index(anchor) for anchor in form.anchors) for form in FORMS) + ((),) * len(BESIDES)
"""Of everything that is told by its form."""
_ONLY_LONG = frozenset(index for index, _ in _MARKS)
_FOREIGN = tuple((i, anchor) for i, anchor in enumerate(ANCHORS) if not anchor.isascii())


@cache
def _mark() -> re.Pattern[str]:
    """The mark of any issuer."""
    return re.compile(grown(LONG))


_SIGNS = {"x": "_-", "y": "+/", "!": "%\\&\n\x1b\x00", "#": "#^"}


def _kind(byte: int) -> str:
    character = chr(byte)
    if character.isalnum() and byte < 128:
        return "x"
    return next((kind for kind, those in _SIGNS.items() if character in those), " ")


# Every byte as what it is: a character of base64url, one that standard base64 has besides, one that may stand for
# something else, one that does so with the next, or another.
_KINDS = "".join(map(_kind, range(256))).encode()
ENCODED = len(FORMS) + len(BESIDES)
NOISE = ENCODED + 1
"""What makes a text worth a closer look: that a form matches (its number), or it may hold a token that is encoded, or
one in disguise."""


def _expressions(
    hiding: Iterable[str], forms: Callable[[], list[tuple[int, str]]] = expressions
) -> list[tuple[int, str]]:
    return [*forms(), *((ENCODED, run) for run in hiding), (NOISE, NOISY)]


PREFILTER = Prefilter(lambda: _expressions(HIDING), once=True, kept="texts.hyperscan")
"""Which of these an ASCII text may be."""
LINES = Prefilter(lambda: _expressions(HIDING_LOOSELY, expressions_of_lines), kept="lines.hyperscan")
"""The same of many lines at once: where in them."""
_LONG = "x" * 20
"""No token that is told by its issuer's mark alone is shorter, and without as many of them."""
_WIDE = re.compile(r"[A-Za-z0-9_+/.~=%@:-]{20,}")
"""Where such a token stands with its mark."""
_HEX = re.compile(r"[0-9a-f-]*\Z")
"""Which is no mark of anybody's; UUIDs and digests are that alone."""
_ENCODED_RUN = "x" * 32
_LEAST_APART = 20
"""What stands between the bytes of a list, at least as often."""


def kinds_of(text: str) -> str:
    """What each character of *text* is to a token."""
    return text.encode("ascii", "replace").translate(_KINDS).decode()


def encoded(kinds: str) -> bool:
    """Whether there is a run that may be base64 or hex of another text, or a list of its bytes."""
    return (
        _ENCODED_RUN in kinds
        or ("y" in kinds and _ENCODED_RUN in kinds.replace("y", "x"))
        or (kinds.count(" ") >= _LEAST_APART and _listing(kinds))
    )


def _listing(kinds: str) -> bool:
    return any(part in kinds for part in LISTED)


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
        candidates.search(index, low, looks)
    for find in beside:
        candidates.found += find(text)
    return candidates.found


def _present(text: str, low: str, kinds: str) -> tuple[list[int], list[_Find]]:
    """The anchors that stand in a text, *low* in lower case, and may begin a token there; and what else finds some."""
    numbers = _speaks(low)
    present = [number for number in numbers if number < _PLACES]
    places = [number - _PLACES for number in numbers if number >= _PLACES and _may(number - _PLACES)(low)]
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
    return asked(BESIDES[place][2])


@cache
def _numbered() -> tuple[dict[int, list[int]], frozenset[int]]:
    """The places in ``BESIDES`` of each number that is looked for, and those that are tried whatever is found."""
    numbered: dict[int, list[int]] = {}
    for place in range(len(BESIDES)):
        numbered.setdefault(number_of(place), []).append(place)
    return numbered, frozenset(filter(over_lines, range(len(BESIDES))))


def _looked_for(low: str, kinds: str, looks: list[int]) -> tuple[list[int], list[_Find]]:
    """Those of them that the forms numbered *looks* have."""
    many = {index for number in looks for index in _ANCHORS[number] if ANCHORS[index] in low}
    present = sorted(many if _LONG in kinds else many - _ONLY_LONG)
    lines = "\n" in low
    if not lines and max(looks, default=0) < len(FORMS):
        return present, []
    numbered, over = _numbered()
    places = {place for number in looks for place in numbered.get(number, ())}
    return present, [BESIDES[at][1] for at in sorted(places | over if lines else places) if BESIDES[at][0] in low]
