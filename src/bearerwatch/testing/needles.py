"""Finds any window of any known token in a piece of text, however long the text and however many the tokens.

A window is :data:`WINDOW` consecutive characters of a token. Looking for every window of every token at
every position would be slow, so the search uses a fact: a window that occurs in a text contains one of the
text's 8-byte grams that begin at a multiple of 5 (12 - 8 + 1). Only those are looked up, in one set of all
grams of all tokens; what is found is then extended to both sides and counted only if it is long enough. The
work grows with the text alone.

Base64 of a token that begins at an unknown place of some larger text has three possible forms, one for each
position modulo three, and two alphabets. Of each, the characters that the token alone determines are sought.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["WINDOW", "Match", "Needles"]

WINDOW = 12
"""Characters of a token that count as a leak."""

_GRAM = 8
_STRIDE = WINDOW - _GRAM + 1
_BASE64_RUN = 15
"""Base64 characters that 12 characters of a token determine at the least favourable alignment (96 bits)."""


@dataclass(frozen=True, slots=True)
class Match:
    """A run of bytes that a token determines."""

    start: int
    """Offset in the text."""
    length: int
    label: str
    """Which token, by the name its owner gave it."""
    form: str
    """``clear`` or ``base64``."""


@dataclass(frozen=True, slots=True, repr=False)
class _Pattern:
    label: str
    form: str
    data: bytes
    least: int
    open_starts: frozenset[int]
    """Where a window begins that counts; the others lie in public text."""


class Needles:
    """Every window of every token, ready to be looked for.

    Args:
        tokens: label -> token. Labels are reported, tokens never.
        public: texts whose windows are no secret and do not count, such as the documentation's own example.

    Raises:
        ValueError: a token is shorter than :data:`WINDOW` characters, so that it has no window.

    Windows that lie wholly inside the JOSE header segment of a JWT (with the dot that ends it) do not count:
    it is the same text in every token of an issuer, and is printed in RFC 7519. A window that reaches even
    one character into the claims does.
    """

    def __init__(self, tokens: Mapping[str, str], *, public: Iterable[str] = ()) -> None:
        self._patterns: list[_Pattern] = []
        self._grams: set[bytes] = set()
        self._where: dict[bytes, list[tuple[int, int]]] = {}
        self.public_windows = 0
        """How many windows were left out as public."""
        shown = tuple(public)
        for label, token in tokens.items():
            if len(token) < WINDOW:
                raise ValueError(
                    f"token {label!r} has {len(token)} characters, fewer than the window of {WINDOW}: "
                    "use longer tokens in the run, or leave this one out of the sweep"
                )
            self._add(label, token, shown)

    def __len__(self) -> int:
        """Number of distinct 8-byte grams held."""
        return len(self._grams)

    def __repr__(self) -> str:
        labels = {p.label for p in self._patterns}
        return f"<Needles of {len(labels)} tokens>"

    def __call__(self, text: bytes, start: int = 0, stop: int | None = None) -> Iterator[Match]:
        """Every place between *start* and *stop* where a window of a token stands.

        A longer run of one token is one match. Matches come in the order of their first gram.
        """
        end = len(text) if stop is None else min(stop, len(text))
        grams = self._grams
        last = end - _GRAM + 1
        hits = [i for i in range(start, last, _STRIDE) if text[i : i + _GRAM] in grams]
        seen: dict[tuple[int, int], int] = {}
        for at in hits:
            for index, offset in self._places(text[at : at + _GRAM]):
                line = (index, at - offset)
                if seen.get(line, -1) >= at + _GRAM:
                    continue
                pattern = self._patterns[index]
                before = _common_suffix(text[max(start, at - offset) : at], pattern.data[:offset])
                after = _common_prefix(text[at : min(end, line[1] + len(pattern.data))], pattern.data[offset:])
                seen[line] = at + after
                windows = range(offset - before, offset + after - pattern.least + 1)
                if any(i in pattern.open_starts for i in windows):
                    yield Match(at - before, before + after, pattern.label, pattern.form)

    def _add(self, label: str, token: str, public: tuple[str, ...]) -> None:
        header = _jose_header(token)

        def is_public(first: int, past: int) -> bool:
            return past <= header or any(token[first:past] in text for text in public)

        raw = token.encode("utf-8", "surrogatepass")
        # A character is a byte in every token a header can carry; for others the byte is the window's unit.
        self._index(label, "clear", raw, WINDOW, lambda i: is_public(i, i + WINDOW))
        for shift in range(3):
            encoded, first = _base64_core(raw, shift)

            def is_public64(i: int, *, shift: int = shift, first: int = first) -> bool:
                bits = (i + first) * 6 - shift * 8, (i + first + _BASE64_RUN) * 6 - shift * 8
                return is_public(-(-bits[0] // 8), bits[1] // 8)

            self._index(label, "base64", encoded, _BASE64_RUN, is_public64)
            url = encoded.translate(bytes.maketrans(b"+/", b"-_"))
            if url != encoded:
                self._index(label, "base64", url, _BASE64_RUN, is_public64)

    def _index(self, label: str, form: str, data: bytes, least: int, is_public: Callable[[int], bool]) -> None:
        starts = range(len(data) - least + 1)
        counted = frozenset(i for i in starts if not is_public(i))
        self.public_windows += len(starts) - len(counted)
        self._patterns.append(_Pattern(label, form, data, least, counted))
        self._where.clear()
        reach = {i + n for i in counted for n in range(least - _GRAM + 1)}
        self._grams.update(data[i : i + _GRAM] for i in reach)

    def _places(self, gram: bytes) -> list[tuple[int, int]]:
        """Patterns and offsets at which *gram* stands. Remembered, as leaks repeat."""
        found = self._where.get(gram)
        if found is None:
            found = []
            for index, pattern in enumerate(self._patterns):
                offset = pattern.data.find(gram)
                while offset >= 0:
                    found.append((index, offset))
                    offset = pattern.data.find(gram, offset + 1)
            self._where[gram] = found
        return found


def _common_prefix(one: bytes, two: bytes) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _common_suffix(one: bytes, two: bytes) -> int:
    return _common_prefix(one[::-1], two[::-1])


def _jose_header(token: str) -> int:
    """Length of the JOSE header segment with its dot (RFC 7515 §3.1); 0 if there is none."""
    parts = token.split(".")
    if len(parts) not in (3, 5):
        return 0
    head = parts[0]
    try:
        decoded = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except ValueError:
        return 0
    return len(head) + 1 if decoded.startswith(b"{") and decoded.endswith(b"}") else 0


def _base64_core(raw: bytes, shift: int) -> tuple[bytes, int]:
    """Base64 of *raw* standing *shift* bytes after a multiple of three: what *raw* alone determines of it.

    Returns:
        the characters, and how many were left out before them.
    """
    encoded = base64.b64encode(bytes(shift) + raw).rstrip(b"=")
    first = -(-shift * 8 // 6)
    whole = (shift + len(raw)) * 8 // 6
    return encoded[first:whole], first
