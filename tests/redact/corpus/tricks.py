"""What an engine of patterns trips over: cut tokens, real formats outside RFC 6750's alphabet, lines full of decoys."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from .values import Case, Mint, Value

__all__ = ["tricks"]

_WHERE = (
    ("bearer", "Authorization: Bearer § end", ("end",)),
    ("dict", "{'Authorization': 'Bearer §', 'Host': 'api'}", ("Host", "api")),
    ("json", '{"access_token": "§", "id": 7}', ("id", "7")),
    ("key", "id=7 token=§ ok=1", ("id=7",)),
    ("cookie", "Cookie: theme=dark; session=§; lang=de", ("theme=dark",)),
    ("header", "X-Api-Key: §\r\nAccept: */*", ("Accept: */*",)),
)
_OWN = "k0123abcd:" + "0123456789abcdef" * 2
_DECOYS = (
    ("after-mark", f"[token {_OWN}] then Bearer §"),
    ("after-id", f"Authorization: Bearer {_OWN} Authorization: Bearer §"),
    ("glued-to-id", f"Authorization: Bearer {_OWN}§"),
    ("in-a-mark", "token=[token §]"),
    ("after-redacted", "Authorization: [REDACTED] access_token=§"),
    ("after-stars", "Authorization: Bearer *** (was §)"),
    ("after-challenge", 'WWW-Authenticate: Bearer realm="api" for Authorization: Bearer §'),
    ("before-parameter", 'Authorization: Bearer § realm="api"'),
    ("parameter-inside", 'Authorization: Bearer realm="api", token="§"'),
    ("parameter-like", "Authorization: Bearer sid=§"),
    ("word-first", "Authorization: Bearer token §"),
    ("key-twice", "token=token=§"),
    ("key-of-key", "token: access_token: §"),
    ("empty-then", "token= access_token=§"),
    ("none-then", "token=None refresh_token=§"),
    ("url-in-value", "token=https://id.example.com/t?access_token=§"),
    ("long-lead", "x" * 20_000 + " Authorization: Bearer §"),
    ("many-words", "token secret password bearer " * 200 + "Authorization: Bearer §"),
    ("many-headers", "eyJhbGciOiJIUzI1NiJ9 " * 50 + "Bearer §"),
    ("non-ascii-lead", "Zürich \u2014 İstanbul \u65e5\u672c\u8a9e: token=§ \u2713"),
    ("emoji-glued", "\U0001f511Bearer §\U0001f511"),
    ("spaces", "Authorization:          Bearer          §"),
    ("aligned", "token                : §"),
    ("tabs", "token\t\t\t\t\t\t§"),
    ("key-in-brackets", "config['api_key'] = '§'"),
    ("key-in-braces", "<token>: {§}"),
    ("quoted-thrice", '"token": """§"""'),
    ("f-string", "f'{token=}' -> token='§'"),
    ("plural", "tokens=['§', '§']"),
    ("comma-list", "valid tokens: §,§"),
    ("range", "token changed from § to §"),
    ("camel-tail", "userApiTokenValue=§"),
    ("snake-tail", "api_token_value=§"),
    ("numbered", "API_TOKEN_2=§"),
    ("dotted-key", "spring.datasource.token=§"),
    ("slash-key", "consul kv put app/token §"),
    ("colon-port", "token:443:§"),
    ("type-note", "token (str): §"),
    ("len-note", "token[40]=§"),
    ("optional", "token?=§"),
    ("php-arrow", "$this->token = '§'"),
    ("double-colon", "token:: §"),
    ("equals-equals", "token == '§'"),
    ("not-equals", "AssertionError: token '§' != 'None'"),
    ("pytest", "E   assert {'token': '§'} == {}"),
    ("key-error-key", "ValidationError: access_token -> '§' is not valid"),
    ("input-value", "[type=string_type, input_value={'token': '§'}, input_type=dict]"),
    ("enum", "<Header.AUTHORIZATION: 'Bearer §'>"),
    ("split-scheme", "('Bearer', '§')"),
    ("split-list", "['Token', '§']"),
    ("scheme-kwarg", "HTTPAuthorizationCredentials(scheme='Bearer', credentials='§')"),
    ("parsed", "scheme=Bearer param=§"),
    ("partition", "('Bearer', ' ', '§')"),
)
_SESSIONS = ("django-signed", "flask", "flask-zipped", "express", "rails", "aspnet", "fernet", "iron", "macaroon")


def _exotic(mint: Mint, kind: str) -> Value:
    a = mint.chars
    payload = mint.part({"_auth_user_id": a("d", 9), "_auth_user_hash": a("h", 40)})
    made = {
        "sanctum": f"{a('d', 3)}|{a('a', 40)}",
        "pipes": f"{a('d', 15)}|{a('w', 27)}",
        "colon": f"{a('a', 12)}:{a('a', 32)}",
        "stars": f"{a('a', 10)}*{a('a', 14)}*{a('a', 12)}",
        "bang": f"{a('a', 32)}!{a('d', 13)}!{a('d', 12)}",
        "dollar": f"{a('a', 16)}${a('a', 16)}${a('a', 16)}",
        "at": f"{a('a', 20)}@{a('a', 20)}",
        "parens": f"{a('a', 20)}({a('a', 20)})",
        "base64-wrapped": f"{a('b', 76)}\n{a('b', 44)}==",
        "padded-url": f"{a('w', 42)}%3D%3D",
        "django-signed": f"{payload}:1t{a('a', 5)}:{a('w', 43)}",
        "flask": f"{payload}.{a('w', 6)}.{a('w', 27)}",
        "flask-zipped": f".eJw{a('w', 90)}.{a('w', 6)}.{a('w', 27)}",
        "express": f"s%3A{a('w', 32)}.{a('a', 27)}%2F{a('a', 15)}",
        "rails": f"{a('b', 120)}%3D%3D--{a('h', 40)}",
        "aspnet": f"CfDJ8{a('w', 150)}",
        "fernet": "gAAAAAB" + base64.urlsafe_b64encode(hashlib.sha512(a("a", 9).encode()).digest()).decode(),
        "iron": f"Fe26.2*1*{a('h', 64)}*{a('w', 22)}*{a('w', 64)}**{a('h', 64)}*{a('w', 43)}",
        "macaroon": f"MDAx{a('w', 140)}",
    }[kind]
    return Value(kind, made, made)


def _cut(mint: Mint) -> Iterator[Case]:
    """Tokens of which a part is shown: what is shown is what has to go."""
    for alg in ("HS256", "RS256", "ES256"):
        token = mint.jws(alg)
        head, payload, signature = token.split(".")
        shown = {
            "first-60": (token[:60], token[len(head) + 1 : 60]),
            "first-100": (token[:100] + "...", token[len(head) + 1 : 100]),
            "ellipsis": (f"{token[:80]}\u2026", token[len(head) + 1 : 80]),
            "middle": (f"{token[:70]}[...]{token[-20:]}", payload[: 70 - len(head) - 1] + token[-20:]),
            "last-40": ("..." + token[-40:], token[-40:]),
            "no-signature": (f"{head}.{payload}", payload),
            "stars-signature": (f"{head}.{payload}.***", payload),
            "no-header": (f"{payload}.{signature}", f"{payload}.{signature}"),
            "line-end": (token[:-9], token.split(".", 1)[1][:-9]),
        }
        for name, (text, secret) in shown.items():
            for where, template, keep in _WHERE[:4]:
                line = template.replace("§", text)
                yield Case(f"cut/{name}/{where}-{alg}", "cut", line, secret, True, keep)
        for name, line, secret in (
            ("parts-dict", f"{{'header': '{head}', 'payload': '{payload}', 'signature': '{signature}'}}", payload),
            ("parts-list", f"token.split('.') = ['{head}', '{payload}', '{signature}']", signature),
            ("parts-kw", f"token parts: payload={payload} signature={signature}", signature),
        ):
            yield Case(f"cut/{name}/{alg}", "cut", line, secret, True)
        yield Case(f"cut/signature-alone/{alg}", "live", f"bad signature {signature}", signature, False, ("bad",))
    for kind in ("a40", "h64"):
        token = mint.value(kind).text
        for name, text in (
            ("dots", f"{token[:24]}..."),
            ("stars", f"{token[:24]}****"),
            ("both", f"{token[:14]}...{token[-4:]}"),
        ):
            for where, template, keep in _WHERE:
                secret = text.rstrip(".*").split("...")[0]
                yield Case(f"cut/opaque-{name}/{where}-{kind}", "cut", template.replace("§", text), secret, True, keep)


def tricks(mint: Mint) -> Iterator[Case]:
    """All of them."""
    kinds = (
        "sanctum",
        "pipes",
        "colon",
        "stars",
        "bang",
        "dollar",
        "at",
        "parens",
        "base64-wrapped",
        "padded-url",
        *_SESSIONS,
    )
    for kind in kinds:
        for where, template, keep in _WHERE:
            value = _exotic(mint, kind)
            text = template.replace("§", value.text)
            yield Case(f"exotic/{kind}/{where}", "exotic", text, value.secret, True, keep)
    for name, template in _DECOYS:
        for kind in ("ES256", "a40", "uuid"):
            value = mint.value(kind)
            text = template.replace("§", value.text)
            yield Case(f"trick/{name}/{kind}", "trick", text, value.secret, True)
    yield from _cut(mint)
