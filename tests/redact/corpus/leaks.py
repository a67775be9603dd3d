"""Texts that leak, over all classes, from a seed.

What counts as a secret, where one may argue: a session's id (who has it is the user), an API key, a signature that
by itself opens a URL, an OAuth code, verifier or device code beside its grant, a TOTP seed, the private part of a
JWK. What does not, and therefore stands on neither side: CSRF tokens and OAuth's ``state`` (worthless without the
session), access key ids, public DSNs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import cycle

from . import carriers_data as data
from . import carriers_http as http
from . import providers
from .encodings import ENCODINGS, LINES
from .tricks import tricks
from .values import JOSE_KINDS, OPAQUE_KINDS, Case, Mint, Value

__all__ = ["leaks"]

_KEPT = re.compile("«([^»]*)»")
_FIELD = re.compile(r"\{[a-zA-Z]\d+\}|\{uuid\}")
_MIXED = ("ES256", "a40", "base64", "uuid", "RS256", "h40", "w43", "letters", "dotted", "h32")
_BARE = (
    ("plain", "«got» § «back»"),
    ("quoted", "«value» '§'"),
    ("json-any", '{"«v»": "§"}'),
    ("glued-dot", "«The end is» §. «Next»"),
    ("slash", "/v1/«callback»/§"),
    ("underscore", "«key»_§"),
    ("xml", "<v>§</v>"),
    ("escaped", '{\\"v\\":\\"§\\"}'),
)
_BEARING = (
    ("bearer", "Authorization: Bearer § «200»"),
    ("key", "«id=7» access_token=§"),
    ("json", '{"token": "§", "id": «7»}'),
    ("api-key", "x-api-key: §"),
)
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


def _case(family: str, name: str, template: str, value: Value, *, context_free: bool = True) -> Case:
    keep = tuple(kept for kept in _KEPT.findall(template) if kept)
    text = _KEPT.sub(r"\1", template).replace("§", value.text)
    return Case(f"{family}/{name}/{value.kind}", family, text, value.secret, context_free, keep)


def _carried(
    mint: Mint, family: str, carriers: Iterable[tuple[str, str]], kinds: Iterable[str], each: int
) -> Iterator[Case]:
    turn = cycle(kinds)
    for name, template in carriers:
        for _ in range(each):
            yield _case(family, name, template, mint.value(next(turn)))


def _values(mint: Mint) -> Iterator[Case]:
    for kind in JOSE_KINDS:
        for name, template in (*_BARE, *_BEARING):
            yield _case("value", f"{name}-{kind}", template, mint.value(kind))
    for kind in OPAQUE_KINDS:
        for name, template in _BEARING:
            yield _case("value", f"{name}-{kind}", template, mint.value(kind))
    for name, template in data.PROSE_LIVE:
        for kind in ("a40", "h40", "uuid"):
            yield _case("live", name, template, mint.value(kind), context_free=False)


def _issued(mint: Mint) -> Iterator[Case]:
    turn = cycle((*_BARE, *_BEARING))
    for name, spec in providers.PREFIXED.items():
        for _ in range(3):
            where, template = next(turn)
            yield _case("provider", name, template, mint.spec(where, spec))
    for family, table in (("provider-keyed", providers.KEYED), ("provider-url", providers.URLS)):
        for name, (template, spec) in table.items():
            for _ in range(2):
                filled = _FIELD.sub(lambda field: mint.spec("", field[0]).text, template)
                yield _case(family, name, filled, mint.spec("made", spec))


def _keys(mint: Mint) -> Iterator[Case]:
    turn = cycle(("a40", "uuid", "base64", "h32", "x32", "w43", "a20"))
    for key in data.KEYS:
        for shape, template in data.SHAPES:
            value = mint.value(next(turn))
            yield _case("key", key, template.replace("¤", key), value._replace(kind=f"{shape}-{value.kind}"))


def _encoded(mint: Mint) -> Iterator[Case]:
    signed, opaque = cycle(("RS256", "ES256", "HS256")), cycle(("a40", "base64", "w43", "h40"))
    for name, encode in ENCODINGS.items():
        for line_name, line in LINES:
            for value in (mint.value(next(signed)), mint.value(next(opaque))):
                text = f"upstream said {encode(line.replace('§', value.text))} and so on"
                case_id = f"encoding/{name}/{line_name}-{value.kind}"
                yield Case(case_id, "encoding", text, value.secret, True, ("upstream", "so on"))


def _private(mint: Mint) -> Iterator[Case]:
    for kind in ("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "):
        rows = [mint.chars("b", 64) for _ in range(6)]
        armour = [f"-----BEGIN {kind}PRIVATE KEY-----", *rows, f"-----END {kind}PRIVATE KEY-----"]
        label = kind.strip().lower() or "pkcs8"
        for name, glue in (("lines", "\n"), ("escaped", "\\n"), ("crlf", "\r\n"), ("indented", "\n    ")):
            text = f"loaded {glue.join(armour)} in 3 ms"
            yield Case(f"private/pem-{name}/{label}", "private", text, glue.join(rows), True, ("loaded", "in 3 ms"))
        text = f'{{"type": "service_account", "private_key": "{chr(92) + "n"}{(chr(92) + "n").join(armour)}"}}'
        yield Case(f"private/pem-json/{label}", "private", text, "\\n".join(rows), True, ("service_account",))
    for part in _PRIVATE:
        value = Value("rsa", secret := mint.random(128), secret)
        yield _case("private", f"jwk-{part}", '{"kty":"«RSA»","e":"AQAB","' + part + '":"§"}', value)
    value = Value("oct", secret := mint.random(32), secret)
    yield _case("private", "jwk-k", '{"kty":"«oct»","k":"§","alg":"HS256"}', value)
    value = Value("totp", secret := mint.chars("u", 32), secret)
    yield _case("private", "otpauth", "otpauth://totp/«Acme»:ada?secret=§&issuer=«Acme»", value)


def leaks(seed: int = 1) -> Iterator[Case]:
    """Every leaking text of *seed*, each under an id of its own."""
    seen: dict[str, int] = {}
    for case in _all(Mint(seed)):
        number = seen[case.id] = seen.get(case.id, 0) + 1
        yield case if number == 1 else case._replace(id=f"{case.id}-{number}")


def _all(mint: Mint) -> Iterator[Case]:
    yield from _carried(mint, "scheme", http.SCHEMES, _MIXED, 4)
    yield from _carried(mint, "dump", http.DUMPS, _MIXED, 3)
    yield from _carried(mint, "tool", http.TOOLS, _MIXED, 3)
    yield from _carried(mint, "url", http.URLS, ("ES256", "a40", "uuid", "h40", "w43", "RS256", "x32"), 3)
    yield from _carried(mint, "cookie", http.COOKIES, ("x32", "h32", "uuid", "w43", "HS256", "a40"), 3)
    yield from _carried(mint, "basic", http.BASIC, ("basic",), 2)
    yield from _carried(mint, "body", data.BODIES, _MIXED, 3)
    yield from _carried(mint, "config", data.CONFIG, _MIXED, 3)
    yield from _carried(mint, "prose", data.PROSE, _MIXED, 4)
    yield from _carried(
        mint, "password", data.PASSWORDS, ("password", "passphrase", "short-password", "words-password", "a20"), 5
    )
    yield from _values(mint)
    yield from _issued(mint)
    yield from _keys(mint)
    yield from _encoded(mint)
    yield from _private(mint)
    yield from tricks(mint)
