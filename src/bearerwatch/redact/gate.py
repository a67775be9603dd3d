"""The gate: whether a text has any of the anchors, and where. Most lines have none, and cost next to nothing.

In pure Python that is a handful of substring searches: for the words that stand before secrets always, for the marks
of issuers only where a run of characters is long enough to be a token of theirs. With the ``accel`` extra one pass of
Hyperscan over all forms comes before, and most lines need nothing else, those that only speak of tokens included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bearerwatch.redact._accel import Prefilter
from bearerwatch.redact.coarse import expressions
from bearerwatch.redact.exact import ANCHORS, BESIDES, Candidates
from bearerwatch.redact.patterns import FORMS, LONG
from bearerwatch.redact.spans import Span
from bearerwatch.redact.views import HIDING, NOISY

__all__ = ["ENCODED", "NOISE", "PREFILTER", "by_search", "encoded", "kinds_of"]

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_SIGN = re.compile(r"[^a-z0-9 ]")


def _by_sign(anchors: Iterable[tuple[int, str]]) -> tuple[tuple[str, tuple[tuple[int, str], ...]], ...]:
    """*anchors* by the first of their characters that is no letter and no digit, which few texts have."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for index, anchor in anchors:
        sign = _SIGN.search(anchor)
        groups.setdefault(sign[0] if sign is not None else "", []).append((index, anchor))
    return tuple((sign, tuple(group)) for sign, group in groups.items())


_MARKS = _by_sign((index, anchor) for index, anchor in enumerate(ANCHORS) if anchor in LONG)
_WORDS = tuple(
    (i, anchor) for i, anchor in enumerate(ANCHORS) if anchor not in LONG and anchor.isascii() and anchor.isalpha()
)
_SIGNS = _by_sign(
    (i, anchor) for i, anchor in enumerate(ANCHORS) if anchor.isascii() and anchor not in LONG and not anchor.isalpha()
)
_ANCHORS = tuple(tuple(ANCHORS.index(anchor) for anchor in form.anchors) for form in FORMS) + ((),) * len(BESIDES)
"""Of everything that is told by its form."""
_ONLY_LONG = frozenset(index for index, anchor in enumerate(ANCHORS) if anchor in LONG)
_FOREIGN = tuple((i, anchor) for i, anchor in enumerate(ANCHORS) if not anchor.isascii())
# Every byte as what it is to a token: a character of base64url, one that standard base64 has besides, or another.
_KINDS = bytes(
    ord("x") if (chr(byte).isalnum() and byte < 128) or byte in b"_-" else ord("y") if byte in b"+/" else ord(" ")
    for byte in range(256)
)
ENCODED = len(FORMS) + len(BESIDES)
NOISE = ENCODED + 1
"""What makes a text worth a closer look: that a form matches (its number), or it may hold a token that is encoded, or
one in disguise."""
PREFILTER = Prefilter(
    lambda: [*expressions(), *((ENCODED, run) for run in HIDING), (NOISE, NOISY), (NOISE, r"\n")],
)
"""Which of these an ASCII text may be."""
_LONG = b"x" * 20
"""No token that is told by its issuer's mark alone is shorter."""
_ENCODED_RUN = b"x" * 32


def kinds_of(text: str) -> bytes:
    """What each byte of *text* is to a token."""
    return text.encode("utf-8", "replace").translate(_KINDS)


def encoded(kinds: bytes) -> bool:
    """Whether there is a run that may be base64 or hex of another text."""
    return _ENCODED_RUN in kinds or (b"y" in kinds and _ENCODED_RUN in kinds.replace(b"y", b"x"))


def by_search(text: str, kinds: bytes, looks: list[int] | None = None) -> list[Span]:
    """What in *text* is a token by its form: substring searches first, then the forms of the anchors they find.

    Args:
        text: what may hold tokens.
        kinds: what its bytes are to tokens.
        looks: the numbers of the forms that may match in it; ``None`` for all.
    """
    low = text.lower() if text.isascii() else text.translate(_ASCII_LOWER)  # offsets stay those of *text*
    present = _present(low, kinds) if looks is None else _looked_for(low, kinds, looks)
    beside = [
        find
        for number, (word, find, _) in enumerate(BESIDES, len(FORMS))
        if word in low and (looks is None or number in looks)
    ]
    if not present and not beside:
        return []
    candidates = Candidates(text)
    for index in present:
        candidates.search(index, low)
    for find in beside:
        candidates.found += find(text)
    return candidates.found


def _present(low: str, kinds: bytes) -> list[int]:
    """The anchors that stand in a text in lower case."""
    present = [index for index, anchor in _WORDS if anchor in low]
    if not low.isascii():
        present += [index for index, anchor in _FOREIGN if anchor in low]
    for sign, marks in (*_SIGNS, *_MARKS) if _LONG in kinds else _SIGNS:
        if sign in low:
            present += [index for index, anchor in marks if anchor in low]
    present.sort()
    return present


def _looked_for(low: str, kinds: bytes, looks: list[int]) -> list[int]:
    """Those of them that the forms numbered *looks* have."""
    many = {index for number in looks for index in _ANCHORS[number] if ANCHORS[index] in low}
    return sorted(many if _LONG in kinds else many - _ONLY_LONG)
