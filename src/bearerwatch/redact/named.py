"""What may stand between the name of a secret and its value, and what such a value is made of: data, piece by piece.

Programs, people and protocols join the two in some twenty ways. Each is one entry with an example; a value is judged
afterwards, by what its name says.
"""

from __future__ import annotations

__all__ = [
    "CLOSED",
    "GAP",
    "LOOSE",
    "NAMED",
    "NAMED_PARTS",
    "NAME_ITSELF",
    "NUMBERED",
    "OURS",
    "PARAMETER",
    "PLAIN",
    "QUOTED",
    "SAID",
    "UNQUOTED",
    "USUAL",
    "VALUE",
]

OURS = r"(?!k[0-9a-f]{8}:[0-9a-f]{32}(?![A-Za-z0-9])|short:[0-9]|\[token |\[password\])"
"""Not a mark of ours."""
# A parameter of a challenge, as in `Bearer realm="x"`, is no credential (RFC 6750 §3)
PARAMETER = r"[A-Za-z_.-]++=++\.*+[\\\"'\[A-Za-z0-9_~+/%-]"
_MARKUP = r"(?:[<\[]/?[a-z]{1,6}[>\]])?"
GAP = rf"(?:\s|%20|\+|\\t){{1,24}}{_MARKUP}[\\\"'`<{{(\[]{{0,2}}"
"""Between a scheme and its credential."""

_QUOTE = r"[\\]{0,6}[\"'`]"
_PREFIX = r"(?:[bruBRUN]{1,2}(?=[\\\"']))?"
_STRING = rf"\s?{_PREFIX}{_QUOTE}"
_PLAIN_BETWEEN = (
    rf"[\\]{{0,6}}(?:[\"'`*_\])>]{{0,4}}{_MARKUP}\s{{0,24}}"
    r"(?::=|=>|->|[:=]{1,2}|%3[AaDd]|[|\u2502\u2503]|\u2192)"
    r"|[\"'`*_\])]{0,3}>)(?:\s{1,24}|\+|=20)?"
    rf"{_MARKUP}"
    r"(?:[|>][+-]?\s{1,20}|<!\[CDATA\[)?"
    r"(?!\[(?:token |password\]))"
    r"(?:[A-Za-z_.]{1,30}\(\[?(?=[bru]?[\\]{0,6}[\"'])|string\([0-9]{1,6}\)\s|\(\*?[a-z]{1,12}\)\(?)?"
    rf"[\[({{<]{{0,2}}\s{{0,2}}[\\]{{0,6}}{_PREFIX}[\\]{{0,6}}[\"'`]{{0,3}}(?:\*{{1,2}}\s[\"'`]?)?\s?"
)
_VERBS = (
    r"(?:is|was|are|(?:(?<=[Ww][Oo][Rr][Dd]\s)|(?<=[Ww][Oo][Rr][Dd][\"']\s))(?:to|with|as)|est|es|ist|lautet|(?:is\s|was\s)?(?:re)?(?:set|changed)\s(?:from|to)|changed\sfrom"
    r"|(?:for|of)\s[^\s:]{1,60}\s(?:is|was|to|=|set\sto))"
)
_WHICH = (
    "access|refresh|current|previous|prod|production|stag|staging|stage|dev|live|test|default|primary|secondary"
    "|raw|plain|string|bytes"
)
"""Of many secrets under one name, which one; that of a thing said of them is none."""
BETWEEN: tuple[tuple[str, str], ...] = (
    (r"\s?[:=]\s?(?:Just|Ok|Optional|Secret|Slice|Some|Str|String|Token)\(\[?\"?", "token: Str(…)"),
    (r"\s?[:=]\s?new\s[A-Za-z.]{1,30}\((?:[0-9],\s?)?[\"']", "token: new BinData(0, '…')"),
    (r"\s\.\s[\"']", '(token . "…")'),
    (r"\s?(?:[?+]|\?\?|\|\|)=\s?[\"'`]?", "TOKEN ?= …"),
    (r"::?\s?[{](?:S?SHA(?:256|384|512)?|S?MD5|CRYPT)[}]", "userPassword: {SSHA}…"),
    (r"\s?:\s?[A-Za-z][A-Za-z\[\]|. ]{0,30}=\s?[\"'`]", "let apiKey: string = '…'"),
    (
        rf"{_QUOTE}?\s{{0,4}}[:=]\s{{0,4}}[{{]\s{{0,4}}{_QUOTE}?value{_QUOTE}?\s{{0,4}}[:=]\s{{0,4}}{_QUOTE}",
        "token: {value: '…'}",
    ),
    (
        rf"{_QUOTE}?\s{{0,4}}(?:[:=]|=>)\s{{0,4}}[{{]\s{{0,4}}{_QUOTE}?(?:{_WHICH}){_QUOTE}?\s{{0,4}}(?:[:=]|=>)\s{{0,4}}{_QUOTE}",
        "tokens = {prod = '…'}",
    ),
    (rf"[({{]\s?(?:value|data|access|refresh)\s?=\s?{_QUOTE}?", "Token(value='…')"),
    (r":?\s?</[a-z]{1,10}>\s{0,20}(?:<[a-z]{1,10}(?:\s[^<>]{0,80})?>\s{0,4}){0,3}", "<td>token</td><td>…"),
    (_PLAIN_BETWEEN, 'token=…, "token": "…", <token>…'),
    (rf"{_QUOTE}\s{{0,4}},\s{{0,4}}[\[({{]?\s?{_PREFIX}{_QUOTE}", "('token', '…')"),
    (rf"{_QUOTE}>>,\s{{0,4}}<<{_QUOTE}|,\s?\"(?=[^\"\s]{{6,200}}\"}})", '{<<"token">>, <<"…">>}, {token, "…"}'),
    (
        (
            rf"{_QUOTE}?[\s,]{{1,24}}{_QUOTE}?(?i:(?:parameter)?value|content){_QUOTE}?\s{{0,4}}[:=]\s{{0,4}}"
            rf"(?:{{\s?{_QUOTE}(?:string|bytes)_?[Vv]alue{_QUOTE}\s?:\s?)?{_QUOTE}?"
        ),
        '{"name": "token", "value": "…"}, of OTLP {"key": "token", "value": {"stringValue": "…"}}',
    ),
    (
        r"(?:\s[A-Za-z:]{1,30}=[\"'](?!\[token |\[password\])[^\"'<>]{0,200}[\"']){1,4}\s?>(?:<!\[CDATA\[)?",
        '<token type="x">…',
    ),
    (r"\s{1,4}[\"'`](?![a-z0-9]+(?:-[a-z0-9]+){1,8}[\"'`])(?=[^\"'`\s]{16,200}[\"'`])", "token '…'"),
    (r"\s(?i:for)\s[^\s=]{1,80}\s=\s[\"']", "password for x = '…'"),
    (r"\scs[0-9]=", "cs1Label=token cs1=…"),
    (
        r"[\"']?\s?{\s{0,40}(?:[a-z_]{1,24}\s{0,20}=\s{0,4}[^\r\n{}]{1,80}\s{1,40}){0,4}default\s{0,20}=\s{0,4}\"",
        'variable "token" { default = "…" }',
    ),
    (r"[\xa0-\xdf\udca0-\udcdf]{1,2}[ -~]?(?=[A-Za-z0-9._-]{20})", "token\u00d9…, as bytes of MessagePack are shown"),
    (r"\";s:[0-9]{1,5}:\"", 's:5:"token";s:8:"…"'),
    (r"(?<=[Ww][Oo][Rr][Dd])\s{1,4}(?:by\s{1,4})?[\"'](?=[^\"'`\s]{8,200}[\"'])", "PASSWORD '…'"),
    (rf"[\"']?\s{{1,4}}{_VERBS}\s?[:=]?\s{{1,4}}(?:[\"'`]|(?=[^\"'`\s]{{8}}))", "the token is …"),
    (
        r"\s(?:provided|supplied|given|used|sent|presented|mismatch|generated|created|issued|minted|received|obtained)\s?:\s{1,2}(?:(?:expected|got)\s)?[\"'`]?(?=[^\"'`\s]{16})",
        "invalid token provided: …",
    ),
    (r"\s[-\u2013\u2014]\s(?=[^\"'`\s]{20})", "token - …"),
    (r"\s?\.{3,60}\s?(?=[^\"'`\s]{16})", "token ...... …"),
    (r"\(\s?[bru]?[\"'](?=[^\"'\s]{16})", "Token('…')"),
    (r"\s?=\s?[\"'][^\"']{0,40}[\"']\s->\s[\"']", "token = '' -> '…'"),
    (r"=%[a-z][\"']?\s?%\s?\(?[bru]?[\"']", "'token=%s' % '…'"),
    (r"[^\"\s]{0,40}\"(?:\s\"[^\"\s]{1,12}\"){0,2}\s\"(?=[^\"\s]{16})", '"SET" "token:1" "…"'),
    (
        r"[\"'](?:;[^\r\n]{0,100})?\r?\n(?:[A-Za-z-]{1,40}:[^\r\n]{0,200}\r?\n){0,4}\r?\n",
        'name="token"\r\n\r\n…, as multipart/form-data has it (RFC 7578 §4.2)',
    ),
)
"""Ways to join a name and its value, each with an example. The first that matches decides."""
SAID = frozenset({
    "token: new BinData(0, '…')",
    "let apiKey: string = '…'", "<td>token</td><td>…", '<token type="x">…', "password for x = '…'",
    "cs1Label=token cs1=…", 'variable "token" { default = "…" }', "the token is …", "invalid token provided: …",
    "token - …", "token ...... …", "token = '' -> '…'",
    '{"name": "token", "value": "…"}, of OTLP {"key": "token", "value": {"stringValue": "…"}}',
})  # fmt: skip
"""Those that are a sentence, a dash or dots, or have more than two words in them; by their examples."""
_AFTER_NAME = r"(?:\s?\([A-Za-z]{1,12}\)|\[/?[0-9A-Za-z]{0,8}\]|\?|<[a-z]{1,12}>)?"
NAMED = rf"{_AFTER_NAME}(?:{'|'.join(regex for regex, _ in BETWEEN)})"
_OTHERS = [regex for regex, _ in BETWEEN if regex != _PLAIN_BETWEEN]
NAMED_PARTS = tuple(rf"{_AFTER_NAME}(?:{'|'.join(part)})" for part in ([_PLAIN_BETWEEN], _OTHERS[::2], _OTHERS[1::2]))
"""The same in parts that Hyperscan can take."""

NAME_ITSELF = r"(?P<n>[A-Za-z0-9_-]{0,40}+)"
"""The rest of a name from an anchor on."""
USUAL = r"A-Za-z0-9._~+/=:!$#*@^?-"
"""What most secrets are made of, within a class of characters."""
VALUE = rf"[{USUAL}]"
NUMBERED = r"(?:[0-9]{1,20}\||s:|s%3[Aa])?"
"""What the tokens of some frameworks begin with: the number of their row, or that they are signed."""
_FIELD = r"(?![A-Za-z_.-]{1,40}(?:\[[A-Za-z0-9_]{0,40}\]){0,3}[=:]|[\s\"'<>\\{}\])]|\Z)"
_ENCODED = r"(?!2[02367CcFf]|3[A-Ea-e]|0[AaDd]|[57][BbDd])"
LOOSE = rf"(?:[^\s\"'`<>&;,%\\\[]|[&;,\[]{_FIELD}|%{_FIELD}{_ENCODED})"
"""A character of what people choose, which may be any, but does not begin the next field."""
PLAIN = rf"{NUMBERED}{VALUE}{{6,2048}}+"
QUOTED = rf"(?<=[\"'`]){VALUE}{{0,5}}+[^\s\"'`\\{USUAL}][^\s\"'`\\]{{2,256}}(?=[\"'`])"
"""A value that ends where its quotes do, and has something in it early on that others have not."""
UNQUOTED = rf"(?<![\"'`]){VALUE}{{0,5}}+(?:[&;,\[]{_FIELD}|%{_FIELD}{_ENCODED}|[()|\]]){LOOSE}{{3,256}}+"
"""The same without quotes, up to the next field."""
CLOSED = "|".join(rf"{VALUE}{{6,2048}}[^\s\\{quote}{USUAL}][^\s\\{quote}]{{0,256}}{quote}" for quote in "\"'`")
"""For a gate: what goes on behind such a value, until its quotes end, and may tell what the value does not."""
