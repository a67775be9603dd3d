"""Whether a value looks made up, as secrets are, or written, as words, paths and code are."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["compact", "made_up", "number", "parameter"]

_NUMBER = re.compile(r"(?:[0-9.,:%+-]+[A-Za-z]{0,2}|[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T_][0-9:.,+Z-]+)\Z")
_PARAMETER = re.compile(r"[A-Za-z_-]+=+(?!\Z|=)")
_PARTS = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]|[0-9]+|[^A-Za-z0-9._/:+#\-]")
_FOLLOWERS = (
    "abcdfgiklmnprstuvwxy baceijlorsuy cacdehiklmorstuy dabcdefilorstu eabcdefgilmnopqrstvwxy "
    "fadefilorstu gaehilnorsu haeiortu iabcdefglmnoprstvxz j keils lacdeilopstuy mabdeilmopstuy "
    "nacdefgiklnopstuv oabcdfgiklmnoprstuvw padehiloprstuy qu racdefgiklmnoprstuvy sacdehiklmnoprstuwy "
    "tacdefhilmnoprstuy uabcdefgilmnoprst vaei waehinors xceipt yenpst zei "
)
_USUAL = frozenset(row[0] + follower for row in _FOLLOWERS.split() for follower in row[1:])
"""Pairs of letters that many words of programs have, of the English of their comments and names; half of all pairs."""
_SHORT = (
    "a aa ab an as at aws be by ca ci cd cn co db de dn do dr ec en es eu ex fi fr ga gb gc go gs gz hi hq hs "
    "i id ie if in io ip is it js k kb kv la lb ln lo m mb md me ms my n na nl no ns ny of ok on op or os pk "
    "pr ps py qa re rs rx s sa se so sq st sv t ts tx ui uk up us ux v vs w we wp x xs y "
)
_SHORT_WORDS = frozenset(_SHORT.split())
"""Words and abbreviations of one or two letters; of random letters there are others, and more of them."""
_INNER = re.compile(r"[A-Za-z][0-9]{1,3}[a-z]")
_ALGORITHMS = re.compile(r"(?:[REPH]S|(?i:sha|aes|md))-?(?:1|5|128|224|256|384|512)(?![0-9])")
_NEVER = ("arn:", "$", "%(", "*", "=", "self.", "this.", "cls.")
"""Beginnings of variables, attributes and masks."""
_VISIBLE = 12
_MASK = re.compile(r"\*{3,}|\.{3,}")
_OBJECT = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]*@[0-9a-f]{1,8}\Z")
"""As Java writes an object that says nothing of itself."""
_POD = re.compile(r"[a-z][a-z0-9]*(?:-[a-z]+)+-(?:[a-f0-9]{8,10}-)?[bcdfghjklmnpqrstvwxz2456789]{5}\Z")
"""As Kubernetes names what it makes."""
_HEADERS = ("eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi")
"""How the header of a JWT begins, which alone is no secret: it is the same in every token of an issuer."""
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])")
_LONGEST_WORD = 16
_LONGEST_PART = 24
_LONGEST_NUMBER = 4
_SHORTEST = 2.4
"""Characters a word has on average at least; the pieces of what is made up are shorter."""
_AMID = re.compile(r"[A-Z]{2}[a-z]+[A-Z0-9]|[a-z][0-9]+[A-Za-z]|[0-9][a-z]+[A-Z]")
"""Where words are joined otherwise than programs do it as a rule."""
_UNUSUAL_AMID = 0.1
_HEX = re.compile(r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{20,}\Z")
_BASE32 = re.compile(r"(?=[A-Z]*[2-7])(?=[2-7]*[A-Z])[A-Z2-7]{16,}=*\Z")
_LONGEST = 256
"""Characters of a value that are looked at; nobody writes that many without a space."""
_UNUSUAL = 0.25
"""Of the pairs of letters in what is written, so many are unusual at most; of random letters every second one is."""


def number(value: str) -> bool:
    """Whether *value* is a number, perhaps with a unit, or a time."""
    return _NUMBER.match(value) is not None


def parameter(value: str) -> bool:
    """Whether *value* is the next parameter rather than a value: ``realm="x"``."""
    return _PARAMETER.match(value) is not None


@lru_cache(maxsize=1024)
def _written(value: str) -> bool:
    if len(value) >= _LONGEST_WORD and value.isalnum() and _INNER.search(value):
        return False  # digits amid letters, and nothing that would part the words
    words = letters = pairs = unusual = odd = alphabetic = longest = 0
    for part in _PARTS.findall(_ALGORITHMS.sub("algorithm", value)):
        if part.isdigit():
            if len(part) > _LONGEST_NUMBER:
                return False
            words += 1
            continue
        if not part.isalpha() or len(part) > _LONGEST_PART:
            return False
        word = part.lower()
        words += 2
        odd += len(word) <= 2 and word not in _SHORT_WORDS
        alphabetic += 1
        longest = max(longest, len(word))
        letters += len(word)
        pairs += len(word) - 1
        unusual += sum(word[at : at + 2] not in _USUAL for at in range(len(word) - 1))
    if 4 * odd > alphabetic:
        return False
    odd_joints = longest > _LONGEST_WORD or (len(value) >= _LONGEST_WORD and _AMID.search(value) is not None)
    most = _UNUSUAL_AMID if odd_joints else _UNUSUAL
    return letters > 0 and 2 * letters >= _SHORTEST * words and unusual <= max(1, most * pairs)


def made_up(value: str) -> bool:
    """Whether *value* is neither words, a number, a mask (``xxxx``, ``****``), nor an identifier of a program."""
    if "***" in value or "..." in value:  # a mask, of which too much may be left
        value = max(_MASK.split(value), key=len)
        if len(value) < _VISIBLE:
            return False
    if _OBJECT.match(value) or _POD.match(value) or (value.startswith(_HEADERS) and "." not in value):
        return False
    if _HEX.match(value) or _BASE32.match(value):
        return True
    if number(value) or parameter(value) or value.startswith(_NEVER):
        return False
    if len(value) > _LONGEST:
        return len(set(value[:_LONGEST])) > 2
    return len(set(value)) > 2 and not _written(value)


def compact(value: str) -> bool:
    """Whether *value* is surely made up: letters of both cases and digits, and nothing that parts them."""
    return (
        len(value) >= _VISIBLE
        and value.rstrip("=").replace("+", "").replace("/", "").isalnum()
        and _MIXED.match(value) is not None
        and made_up(value)
    )
