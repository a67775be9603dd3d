"""Validators: whether what a form has found is a token, or only stands where one would.

Each is given the text and where in it the find begins and ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bearerwatch import _jws
from bearerwatch.redact.madeup import compact, made_up, parameter
from bearerwatch.redact.named import USUAL
from bearerwatch.redact.names import PASSWORD_LIKE, secret_name

__all__ = ["CHECKS", "before", "telling"]

_LONG = 16
_TIMES, _WHOSE = {"exp", "iat", "nbf"}, {"aud", "iss", "jti", "sub"}
"""Claims of which a JWT has some (RFC 7519 §4.1)."""
_TELLING = re.compile(r"[A-Z0-9]")
_HEADER = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)+\Z")
_GLUED = re.compile(r"[a-z][0-9]+[a-z]+[0-9]")
_BREAKS = re.compile(r"[_./-]")
_WORDS = re.compile(r"[a-z]{3,}(?:-[a-z]{3,}){3,7}\Z")
_PHRASE = re.compile(r"[a-z]+(?:-[a-z]+)+[0-9]+\Z")
_LONG_PHRASE = re.compile(r"(?:[a-z]{4,12}-){3,7}[a-z]{4,12}[0-9]{1,4}[!?.]?\Z")
"""Words and a number, as generators of passphrases put them together."""
_TWO_WORDS = 10
_FEWEST = 4
_LABEL = 80
"""Characters in which the label of a PEM block stands with its dashes (RFC 7468 §2)."""
_EXAMPLES = frozenset({"pass", "passwd", "password", "pwd", "secret", "token"})
_STATES = re.compile(
    "allow|auth|blank|cannot|change|check|confirm|correctly|(?:^|[^a-z]|are|be|in|is|look|looks|not|seem|seems|was)correct$|creat|default|delet|denied|disabl|empty|enabl|encrypt|"
    "error|expir|fail|field|forgot|forbid|form|generat|hash|hidden|hint|ignor|incorrect|input|invalid|length|limit|"
    "lock|login|manag|mask|match|mismatch|miss|must|need|null|option|param|password|placeholder|polic|prompt|protect|"
    "provid|reader|recover|redact|regist|remov|requir|reset|rotat|secret|session|server|setting|should|string|submit|"
    "success|support|text|token|unchang|undefin|unknown|unset|updat|user|valid|verif|widget|wrong"
)
"""In what stands behind ``password=`` and is no password, but said of one or a part of a program."""
_LINE_ENDS = ("", "\n", "\r", "\\")
_DERIVED = re.compile(
    r"(?:a[bt]le|ible|acy|age|ally|[ae]n(?:ce|cy|t)|ary|ate|dom|ed|ence|ful|[ai]fy|gram|graph|hood|i[ac]|ical|ices?|ide|ify|ing|"
    r"ion|ious|ise|ish|ism|ist|ite|ity|ive|ize|less|ly|ment|ness|oid|ology|ous|[bcdegilmnpt]al|ship|some|tor|th|tude|ure|ware|"
    r"where|wise|ities|oire|[cdfklmnrtv]ers?)s?\Z"
)
"""How words end that are derived of others, and may be long without being two."""
_NUMBERED = re.compile(r"(?:[A-Z][a-z]+[_.@#-]?[0-9]{2,}|[a-z]{3,}[_@#-]?[0-9]{3,})[!?.$#]{0,3}\Z")
_SHORT_WORD = re.compile(r"[a-z._-]{1,9}\Z")
_PROSE = re.compile(r" [a-z]+(?:[ .,;!?]|\Z)")
_TEMPLATE = re.compile(
    r"<.*>?\Z|\{.*\}\Z|\[.*\]\Z|\(.*\)\Z|%.*%\Z|.*(?:\$\{|\{\{|#\{|%\(|%[sdrv]\Z)|[A-Za-z_][\w.]*[(\[{].*[)\]}]\Z|[A-Za-z]:[\\/]"
)
"""What a program or somebody else is to put a value in place of; and the call of a function."""
_CLOSING = re.compile(r"</(?:[A-Za-z0-9_.-]{1,40}:)?(?P<n>[A-Za-z0-9_.-]{1,64})\s?>")
_BRACKET = re.compile(r"[(\[{]")
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])")
_BOTH_CASES = re.compile(r"(?=.*[a-z])(?=.*[A-Z])")
_ODD = re.compile(rf"(?!(?<=[0-9])\|)[^{USUAL}]")
"""What few secrets have in them; rows' numbers do end in ``|``."""
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+\Z")
_ODD_WORD = re.compile(r"[A-Za-z][0-9]+|[0-9][A-Za-z]")
_BACK = {"azure": 3, "paseto": 2, "stripe": 1}
"""How far before its anchor a form's token begins."""
_BEFORE = {"telegram": re.compile(r"[0-9]{1,12}"), "terraform": re.compile(r"[A-Za-z0-9]{14}")}
"""What of a form's token stands before its anchor, where that is not always as long."""


def _jose(text: str, start: int, end: int) -> bool:
    dot = text.find(".", start, end)
    return dot > 0 and _jws.is_header(text[start:dot])


def _claims(text: str, start: int, end: int) -> bool:
    claims = _jws.json_object(text[start:end])
    return claims is not None and not _TIMES.isdisjoint(claims) and not _WHOSE.isdisjoint(claims)


def telling(value: str) -> bool:
    """Whether *value* is more than a word could be: short, and small but for its first letter, nothing is a token."""
    return len(value) >= _LONG or value[:1].isdigit() or _TELLING.search(value, 1) is not None


def _strong(text: str, start: int, end: int) -> bool:
    """After ``Bearer``: anything but prose, masks and the parameters of a challenge (RFC 6750 §3)."""
    value = text[start:end]
    return telling(value) and made_up(value)


def _weak(text: str, start: int, end: int) -> bool:
    return end - start >= _LONG and made_up(text[start:end])


def _keyed(text: str, start: int, end: int) -> bool:
    """After ``token=`` and the like: no word, no number, no path, no call."""
    value = text[start:end]
    if _ODD.search(value):
        return text[start - 1 : start] in ("'", '"', "`") and _odd_token(value)
    if not telling(value) or _called(text, end, value) or (value.startswith("%") and len(value) < _LONG):
        return False
    if "://" in value:
        return False  # a reference; what is secret in a URL has forms of its own
    if value.count("/") >= 2:  # numbers in a path say nothing
        value = "/".join(part for part in value.split("/") if not part.isdigit())
    return made_up(value) or (len(value) >= 12 and value.islower() and _GLUED.search(value) is not None)


def _password(text: str, start: int, end: int) -> bool:
    """After ``password=``: people choose words with something added; words alone, and paths, are the program's."""
    value = text[start:end]
    if _ODD.search(value):
        return _odd(value)
    if _NUMBERED.match(value) or _slashed(value):
        return True
    if (
        text.startswith("(", end)
        or len(set(value)) <= 2
        or "***" in value
        or parameter(value)
        or value.startswith(("$", "%(", "/", "./", "~/", "!", "*", "@"))
    ):
        return False
    if _SHORT_WORD.match(value) or (
        value.isalpha() and value.islower() and text[start - 1 : start] == " " and _PROSE.match(text, end)
    ):
        return False
    if made_up(value):
        return True
    if len(_BREAKS.split(value)) >= 3 and not _PHRASE.match(value):
        return _WORDS.match(value) is not None and not _STATES.search(value)
    if _ODD_WORD.search(value) is not None or not (value.isidentifier() or value.isalpha() or _PLAIN.match(value)):
        return True
    # Words alone: where nobody would write prose.
    before = text[start - 1 : start]
    return (
        len(value) >= _TWO_WORDS
        and value.isascii()
        and value.isalpha()
        and value.islower()
        and (before in ("=", '"', "'") or (before == ">" and _element(text, end)) or _alone(text, start, end))
        and not _STATES.search(value)
    )


def _slashed(value: str) -> bool:
    """Whether *value* begins like a path, as one in 64 of base64 does, and is none."""
    return value.startswith("/") and (
        compact(value) or (len(value) >= 2 * _LONG and _BOTH_CASES.match(value) is not None and made_up(value))
    )


def _alone(text: str, start: int, end: int) -> bool:
    """Whether a word ends its line, and is two rather than one: long, and derived of no other one."""
    return (
        end - start > _TWO_WORDS
        and text[max(start - 4, 0) : start].endswith((": ", "= ", " is "))
        and text[end : end + 1] in _LINE_ENDS
        and not _DERIVED.search(text, start, end)
    )


def _element(text: str, end: int) -> bool:
    """Whether at *end* an element of XML ends that is named as passwords are."""
    closing = _CLOSING.match(text, end)
    return closing is not None and secret_name(closing["n"]) == PASSWORD_LIKE


def _chosen(text: str, start: int, end: int) -> bool:
    """After ``password`` and a space: what no word, name or version is."""
    value = text[start:end]
    if value.startswith(("$", "{", "[", "(", "%", "-", "*")) or _TEMPLATE.match(value) or "***" in value:
        return False
    if value.isalpha() and value.islower():
        return _alone(text, start, end) and not _STATES.search(value)
    usual = _ODD.sub("", value)
    if _LONG_PHRASE.match(value) is not None:
        return not _STATES.search(value)
    return _MIXED.match(usual) is not None and (made_up(usual) or _NUMBERED.match(value) is not None)


def _odd(value: str) -> bool:
    """Within quotes: a password with characters that others do not have, and no template, call, list or sentence."""
    if _TEMPLATE.match(value) or "***" in value:
        return False
    usual = _ODD.sub("", value)
    if len(usual) < _FEWEST or parameter(value):
        return False
    return made_up(usual) or (any(map(str.isdigit, usual)) and any(map(str.isalpha, usual)))


def _called(text: str, end: int, value: str) -> bool:
    """Whether *value*, which ends at *end*, is the name of a function that is called."""
    return text.startswith("(", end) and not compact(value)


def _odd_token(value: str) -> bool:
    """Within quotes: a token with characters that others do not have."""
    template = _TEMPLATE.match(value) and not compact(_BRACKET.split(value, maxsplit=1)[0])
    return not template and any(len(part) >= _LONG // 2 and made_up(part) for part in _ODD.split(value))


def _credential(text: str, start: int, end: int) -> bool:
    """After ``Authorization:`` everything that is not plain prose, nor the next name of a list."""
    value = text[start:end]
    return end - start >= 4 and made_up(value) and not _called(text, end, value) and not _HEADER.match(value)


def _secret(text: str, start: int, end: int) -> bool:
    """In a URL or after ``-u``: whatever it is, but a variable or what a manual has there."""
    value = text[start:end]
    return len(set(value)) > 2 and value[0] not in "${<%" and "://" not in value and value.lower() not in _EXAMPLES


def _surely(text: str, start: int, end: int) -> bool:
    """Where identifiers stand as well: letters of both cases and digits, and no words."""
    value = text[start:end]
    return _MIXED.match(value) is not None and made_up(value)


def _login(text: str, start: int, end: int) -> bool:
    """After ``-p``, which is a port or a path as well."""
    return compact(text[start:end]) or ("login" in text[:start] and made_up(text[start:end]))


def _compact(text: str, start: int, end: int) -> bool:
    """Where nothing but a space says that it is a value."""
    value = text[start:end]
    return compact(value) or (len(value) >= 2 * _LONG and _MIXED.match(value) is not None and made_up(value))


def _paseto(text: str, start: int, end: int) -> bool:
    if start < 2 or text[start - 2 : start] not in ("v1", "v2", "v3", "v4"):
        return False
    return made_up(text[text.index(".", start + 1) + 1 : end])


def _always(_text: str, _start: int, _end: int) -> bool:
    return True


def _pem(text: str, start: int, _end: int) -> bool:
    """What stands behind the beginning of a key, and not behind its end."""
    label = text[max(start - _LABEL, 0) : start].upper()
    return label.rfind("END ") <= label.rfind("BEGIN ")


def _begins(text: str, start: int, _end: int) -> bool:
    """What stands before an issuer's mark is no part of a longer word."""
    before = text[start - 1 : start]
    return not (before.isalnum() and before.isascii())


def _telegram(text: str, start: int, _end: int) -> bool:
    return before(text, start, "telegram") >= 8


def _terraform(text: str, start: int, _end: int) -> bool:
    return before(text, start, "terraform") == 14


def before(text: str, start: int, form_id: str) -> int:
    """How many characters of its token stand before a form's anchor."""
    fixed = _BACK.get(form_id)
    if fixed is not None:
        return fixed
    wanted = _BEFORE.get(form_id)
    if wanted is None:
        return 0
    found = wanted.match(text[max(start - 20, 0) : start][::-1])
    return len(found[0]) if found is not None else 0


CHECKS: dict[str, Callable[[str, int, int], bool]] = {
    "always": _always,
    "compact": _compact,
    "azure": lambda text, start, end: text[max(start - 3, 0) : start].isalnum() and _begins(text, start - 3, end),
    "begins": _begins,
    "chosen": _chosen,
    "claims": _claims,
    "credential": _credential,
    "jose": _jose,
    "keyed": _keyed,
    "login": _login,
    "paseto": _paseto,
    "pem": _pem,
    "password": _password,
    "stripe": lambda text, start, end: start >= 1 and text[start - 1] in "sr" and _begins(text, start - 1, end),
    "secret": _secret,
    "strong": _strong,
    "surely": _surely,
    "telegram": _telegram,
    "terraform": _terraform,
    "weak": _weak,
}
"""By name, as forms have it."""
