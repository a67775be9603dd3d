"""The redaction engine: no token survives, and nothing else changes."""

from __future__ import annotations

import base64
import copy
import json
import re
import string
import threading
import time
import uuid
from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bearerwatch import redact_text
from bearerwatch.context import live
from bearerwatch.fingerprint import KeyRing, ring, use
from bearerwatch.redact import redact_value
from bearerwatch.redact.engine import find
from fakes import b64, draw, jwt, leaked, opaque, token_urlsafe

MARK = re.compile(r"\[token (k[0-9a-f]{8}:[0-9a-f]{32}|short:\d+)\]")

# -- what is found by its form -------------------------------------------------------------------------

KINDS = {
    "jwt": jwt,
    "jwt-none": lambda: jwt(header={"alg": "none"}, signature=""),
    "jwe": lambda: ".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), "", opaque(16), opaque(60), opaque(22)]),
    "opaque": lambda: opaque(39) + "7",
    "opaque-short": lambda: opaque(19) + "3",
    "hex": lambda: draw.randbytes(32).hex(),
    "urlsafe": lambda: token_urlsafe(40),
    "base64": lambda: base64.b64encode(draw.randbytes(31)).decode(),
    "uuid": lambda: str(uuid.UUID(bytes=draw.randbytes(16), version=4)),
    "dotted": lambda: f"{opaque(20)}.{opaque(20)}7",
    "begins-like-a-prefix": lambda: draw.choice("bru") + opaque(30) + "1",
}
KEYED = [
    "Authorization: Bearer {}",
    "authorization: bearer {}",
    "AUTHORIZATION: BEARER {}",
    "Proxy-Authorization: Bearer {}",
    "Authorization: Token {}",
    "Authorization: DPoP {}",
    "Authorization: {}",
    "Authorization: {} was rejected",
    "Authorization: Sesame {}",
    "Authorization: Bearer {} was rejected",
    "Authorization:\n  Bearer {}",
    "{{'Authorization': 'Bearer {}'}}",
    '{{"authorization":"Bearer {}"}}',
    '{{"headers":{{"authorization":["Bearer {}"]}}}}',
    '{{\\"authorization\\":\\"Bearer {}\\"}}',
    '{{\\\\\\"authorization\\\\\\": \\\\\\"Bearer {}\\\\\\"}}',
    "[(b'host', b'x'), (b'authorization', b'Bearer {}')]",
    "<Headers authorization='Bearer {}'>",
    "'HTTP_AUTHORIZATION': 'Bearer {}'",
    "curl -H 'Authorization: Bearer {}' https://api.test/orders",
    "b'Bearer {}'",
    "Bearer%20{}",
    "Bearer+{}",
    "Bearer\t{}",
    "Bearer  {}.",
    "DPoP {}",
    "GET /orders?access_token={}&page=2 HTTP/1.1",
    "https://app.test/callback#access_token={}&state=1",
    "next=%2Fcallback%3Faccess_token%3D{}%26state",
    "token={}",
    "token: {}",
    "token = '{}'",
    '"token": "{}"',
    "refresh_token={}",
    "'id_token': '{}'",
    "accessToken: {}",
    "X-Auth-Token: {}",
    "Set-Cookie: session_token={}; Path=/; HttpOnly",
    "x-api-key: {}",
    "api_key={}",
    "APIKEY={}",
    "client_secret={}",
    "secret_key: {}",
    "password={}",
    "jwt={}",
    "JWT {}",
    "ValueError: invalid token: {}",
    "auth_token => {}",
    "token=Bearer {}",
    "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nInvalidToken: token '{}' has expired\n",
]
BARE = [
    "{}",
    "({})",
    "<{}>",
    "'{}'",
    "{}.",
    "{},",
    "got {} from",
    "/reset/{}/done",
    "x={}&y",
    "a{}",
    "[{}]",
    "\n{}\n",
    "\x1b[1m{}\x1b[0m",
]


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_survives_where_it_is_named(kind: str) -> None:
    for template in KEYED:
        token = KINDS[kind]()
        text = template.format(token)
        clean = redact_text(text)
        assert not leaked(token, clean), template
        assert MARK.search(clean) or "[password]" in clean, template
        assert redact_text(clean) == clean, template


@pytest.mark.parametrize("template", BARE)
def test_a_jwt_is_found_anywhere(template: str) -> None:
    for kind in ("jwt", "jwt-none", "jwe"):
        token = KINDS[kind]()
        clean = redact_text(template.format(token))
        assert not leaked(token, clean)
        if template != "a{}":
            assert clean == template.format(f"[token {ring().token_id(token)}]")


PREFIXED = {
    "github": lambda: "ghp" + "_" + opaque(36),
    "github-app": lambda: "ghs" + "_" + opaque(36),
    "github-fine": lambda: "github" + "_pat_" + opaque(22) + "_" + opaque(59),
    "gitlab": lambda: "glpat" + "-" + opaque(20),
    "slack": lambda: "xoxb" + "-" + opaque(12, string.digits) + "-" + opaque(24),
    "stripe": lambda: "sk" + "_live_" + opaque(24),
    "stripe-restricted": lambda: "rk" + "_test_" + opaque(24),
    "pypi": lambda: "pypi" + "-AgEIcHlwaS5vcmc" + opaque(60),
    "npm": lambda: "npm" + "_" + opaque(36),
    "google": lambda: "ya29" + "." + opaque(40),
    "paseto-public": lambda: "v4.public." + opaque(80),
    "paseto-local": lambda: "v4.local." + opaque(80) + "." + opaque(20),
}


@pytest.mark.parametrize("kind", PREFIXED)
def test_tokens_of_known_issuers_are_found_anywhere(kind: str) -> None:
    for template in BARE[:-5]:
        token = PREFIXED[kind]()
        clean = redact_text(template.format(token))
        assert clean == template.format(f"[token {ring().token_id(token)}]")


def test_the_mark_is_the_id_under_which_the_token_travels() -> None:
    for make in (*KINDS.values(), *PREFIXED.values()):
        token = make()
        assert (
            redact_text(f"Authorization: Bearer {token}") == f"Authorization: Bearer [token {ring().token_id(token)}]"
        )
        assert redact_text(f"token={token}") == f"token=[token {ring().token_id(token)}]"


def test_two_tokens_in_a_line_are_two_marks() -> None:
    one, two = jwt(), jwt()
    clean = redact_text(f"swap {one} for {two}, and {one} again")
    assert MARK.findall(clean) == [ring().token_id(token) for token in (one, two, one)]


def test_what_stands_around_a_token_stays() -> None:
    token = opaque() + "1"
    clean = redact_text(
        f'10.0.0.1 - "GET /a?x=1&access_token={token}&y=2 HTTP/1.1" 200 (Authorization: Bearer {token}, ok)'
    )
    mark = f"[token {ring().token_id(token)}]"
    assert clean == f'10.0.0.1 - "GET /a?x=1&access_token={mark}&y=2 HTTP/1.1" 200 (Authorization: Bearer {mark}, ok)'


# -- look-alikes ---------------------------------------------------------------------------------------

UNTOUCHED = [
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 merged",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    'etag="33a64df551425fcc55e4d42a148795d9f25f89d4"',
    "request 0198c0de-1111-7222-8333-444455556666 took 12 ms",
    "traceparent 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Python 3.11.7 (main, Jan  1 2026) [GCC 13.2.0] Django 5.2.19",
    "img src=data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "data:font/woff2;base64,d09GMgABAAAAAAQIAA4AAAAACCgAAAO0AAEAAAAAAAAAAAAAAAAAAAAA",
    "the bearer of this letter may pass",
    "Bearer authentication is required for this route",
    "bearer token missing",
    "missing bearer token in header",
    "token expired",
    "the token is invalid, ask for another token",
    "token=None",
    "token: null",
    "token=true&x=1",
    "token: missing",
    "token_type=bearer expires_in=3600",
    '{"token_type": "Bearer", "expires_in": 3600}',
    "password reset requested",
    "password: required",
    "password must have 12 characters",
    "passwords do not match",
    "secret santa drew 12 names",
    "jwt decode failed",
    "jwt: signature mismatch",
    'WWW-Authenticate: Bearer realm="api", error="invalid_token", error_description="The token expired"',
    'Bearer error="insufficient_scope", scope="orders:write orders:read"',
    "authorization header missing",
    "authorization failed for user 4711",
    "Authorization: ",
    "basic auth is off",
    "the basic idea",
    "12 tokens, 4 secrets",
    "tokens per second: 1234.5",
    "max_tokens=4096 temperature=0.7",
    "prompt_tokens: 1523, completion_tokens: 211",
    "token count: 20000000000000000000",
    "/static/js/main.3f2a1b9c.chunk.js",
    "/api/v1/token/refresh/",
    "/oauth/token HTTP/1.1",
    "csrftoken cookie not set",
    "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
    "k8s pod web-7d4b9c6f5d-x2x7z restarted",
    "order ord_1N8fA2eZvKYlo2C paid",
    "arn:aws:iam::123456789012:role/api",
    "eyJafjallajokull.is.a.volcano",
    "eyJhbGciOi is how most begin",
    "SELECT * FROM tokens WHERE user_id = 7",
    "2026-03-01T12:00:00.123456Z INFO api.auth: no token presented",
    "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor",
    "ünïcödé, 日本語, emoji 🔑 and İstanbul",
    "",
]


@pytest.mark.parametrize("text", UNTOUCHED)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert redact_text(text) == text


def test_our_own_marks_and_ids_are_left_alone() -> None:
    keys = ring()
    for token in (jwt(), opaque(), "x" * 9):
        name = keys.token_id(token)
        for text in (
            f"[token {name}]",
            f"token=[token {name}]",
            f"Authorization: Bearer [token {name}]",
            f"Authorization: DPoP [token {name}]",
            f"Authorization: AWS4-HMAC-SHA256 [token {name}]",
            f"authorization=[token {name}]",
            f'{{"token": "[token {name}]"}}',
            f"token_id={name}",
            f'"token_id":"{name}","presented_id":"{keys.presented_id(token)}"',
            f"bearer {name}",
            f"token {name}",
            f"password=[token {name}]",
        ):
            assert redact_text(text) == text


@pytest.mark.parametrize("after", ["\nA=0", " x=1", "\\tretry=2", "%20a=b"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_parameter_behind_a_bare_credential_does_not_save_it(kind: str, after: str) -> None:
    token = KINDS[kind]()
    assert not leaked(token, redact_text(f"Authorization: {token}{after}"))


# -- properties ----------------------------------------------------------------------------------------

PROSE = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [*UNTOUCHED, "İİİ ", "\u017f\u017f\u017f", "\ud800"]
)


@given(PROSE, st.sampled_from(KEYED), st.sampled_from(sorted(KINDS)), PROSE)
def test_whatever_stands_around_it_no_named_token_survives(before: str, template: str, kind: str, after: str) -> None:
    token = KINDS[kind]()
    clean = redact_text(f"{before}\n{template.format(token)}\n{after}")
    assert not leaked(token, clean)


PIECES = st.lists(
    st.sampled_from(
        [
            "Authorization",
            "Bearer",
            "DPoP",
            "token",
            "password",
            "jwt",
            "basic",
            "api_key",
            "eyJ",
            "[token ",
            "]",
            "short:9",
            "k0123abcd:" + "0" * 32,
            ":",
            "=",
            " ",
            "%20",
            "\\",
            '"',
            "'",
            "b'",
            ".",
            ",",
            "(",
            "a1",
            "Abc1234567",
            "==",
            "\n",
            b64(b'{"alg":"HS256"}'),
            "realm=",
            "é",
            "v4",
            ".local.",
            "ghp_",
            "A" * 40,
        ]
    ),
    max_size=14,
).map("".join)


@given(PIECES)
@example("Authorization: DPoP Abc1234567")
@example("[(b'authorization', b'Bearer Abc1234567')]")
def test_redacting_twice_changes_nothing(text: str) -> None:
    clean = redact_text(text)
    assert redact_text(clean) == clean


@given(st.text(max_size=200) | PIECES)
def test_spans_are_in_order_and_apart(text: str) -> None:
    end = 0
    for span in find(text):
        assert end <= span.start < span.end <= len(text)
        end = span.end


def test_letters_whose_lower_case_is_longer_do_not_shift_anything() -> None:
    token = opaque() + "1"
    assert redact_text(f"İ{'İ' * 50} AUTHORIZATION: BEARER {token} İ") == (
        f"İ{'İ' * 50} AUTHORIZATION: BEARER [token {ring().token_id(token)}] İ"
    )


HOSTILE = [
    "eyJ",
    "eyJaaaaaaa.",
    "eyJ.",
    "bearer+a=",
    "bearer+a=.",
    "token a=",
    "Authorization=",
    "Authorization=a=",
    "Authorization: ",
    "Authorization:\\",
    "authorization:b'",
    "token:9",
    "token=",
    "secret: ",
    "jwt+a=",
    "basic ",
    "password%3D",
    ".local.",
    "v1.public.aaaaaaaaaaaaaaaa",
    "ghp_",
    "xoxb-",
    "sk_live_",
    "glpat-",
    "ya29.",
    "\\",
    " ",
    "[token ",
    "=",
    "ewog",
    "eyAi.",
    "name=token ",
    " --token ",
    " -u a:",
    "-----BEGIN PRIVATE KEY-----",
    "://a:",
    "://aaaaaaaaaaaaaaaa",
    'name="token"\r\n',
    "password: '",
    "token is ",
    "'token', '",
    '"api_key", "value": "',
    "%25",
    "\\u005c",
    "&amp;",
    "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
    "deadbeef",
    "a-",
    "A1b2",
    "\n",
    "x" * 40 + "\n",
    "sk-",
    ":AA",
    ".atlasv1.",
]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("tail", ["", ".", "=", " x1"])
def test_no_line_takes_long(piece: str, tail: str) -> None:
    """64 kB, as much as a server lets into its access log; a caller chooses every character of it."""
    text = (piece * (65_536 // len(piece))) + tail
    began = time.process_time()
    redact_text(text)
    assert time.process_time() - began < 0.5


# -- what is found because it is in flight -------------------------------------------------------------


def spellings(token: str) -> dict[str, str]:
    raw = token.encode()
    return {
        "itself": token,
        "quoted": quote(token, safe=""),
        "quoted-plus": quote_plus(token),
        "json": json.dumps(token),
        "json-twice": json.dumps(json.dumps(token)),
        "repr": repr(token),
        "bytes": repr(raw),
        "base64": base64.b64encode(raw).decode(),
        "base64-1": base64.b64encode(b"x" + raw + b"yz").decode(),
        "base64-2": base64.b64encode(b"Bearer: " + raw).decode(),
        "base64-url": base64.urlsafe_b64encode(b"user:" + raw).decode(),
        "basic": base64.b64encode(b"token:" + raw).decode(),
    }


@pytest.mark.parametrize(
    "token",
    [
        "correct-horse-battery-staple",
        opaque(),
        "with/slashes+and=signs/" + opaque(12),
        f'quo"ted\\{opaque(16)}',
        "pässwörd-with-umlauts",
        jwt(),
        "x" * 12,
    ],
)
def test_a_token_in_flight_is_removed_however_it_is_spelt(token: str) -> None:
    ticket = live.add(token)
    for name, spelt in spellings(token).items():
        clean = redact_text(f"the client said {spelt} to us")
        if name == "json-twice" and json.dumps(token) != f'"{token}"':
            continue  # escapes of escapes are not looked for
        assert not leaked(token, clean), name
        assert "[token " in clean, name
        pieces = [spelt[at : at + 12] for at in range(4, len(spelt) - 16)]
        assert not [piece for piece in pieces if piece in clean], name
    live.discard(ticket)
    if not token.startswith("eyJ"):
        assert redact_text(f"the client said {token} to us") == f"the client said {token} to us"


def test_a_token_in_flight_is_removed_in_every_thread() -> None:
    token = "an opaque token of letters alone"
    ticket = live.add(token)
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(redact_text(f"worker got {token}!")))
    thread.start()
    thread.join()
    live.discard(ticket)
    assert said == [f"worker got [token {ring().token_id(token)}]!"]


def test_a_short_credential_does_not_wipe_words() -> None:
    from bearerwatch.observe import Facts, Watch
    from bearerwatch.settings import Settings

    exchange = Watch(Settings(), []).open(Facts("GET", "/", "", "", "Bearer INFO", None, None, None, None, None, None))
    assert redact_text("INFO: fine") == "INFO: fine"
    assert not exchange.holds
    exchange.end()


@given(st.text(min_size=12, max_size=80), PROSE, PROSE)
def test_whatever_is_in_flight_is_not_to_be_read(token: str, before: str, after: str) -> None:
    ticket = live.add(token)
    try:
        assert token not in redact_text(f"{before}{token}{after}").replace("[token ", "\0")
    finally:
        live.discard(ticket)


def test_pieces_of_overlapping_finds_do_not_survive() -> None:
    """The live token is longer than what its form would show of it, or begins before."""
    token = f"{jwt()}~{opaque()}"
    ticket = live.add(f"prefix-{token}")
    clean = redact_text(f"got prefix-{token}.")
    live.discard(ticket)
    assert MARK.sub("", clean) == "got ."


# -- values --------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    name: Any
    value: Any


def shapes(token: str) -> list[Any]:
    return [
        token,
        f"Bearer {token}".encode(),
        {"access_token": token},
        {"headers": {"Authorization": f"Bearer {token}"}},
        [{"a": [(1, token)]}],
        ("x", token),
        {token},
        frozenset([token]),
        {token: 1},
        OrderedDict(authorization=f"Bearer {token}"),
        Pair("token", token),
        {"password": "hunter2hunter2" + token},
        [[[[[[[[[[[{"deep": token}]]]]]]]]]]],
        {"n": 5, "list": [None, True, 1.5, token]},
    ]


def test_values_lose_their_tokens_and_the_callers_stay_as_they_are() -> None:
    for number in range(len(shapes(""))):
        token = jwt()
        value = shapes(token)[number]
        before = copy.deepcopy(value)
        clean = redact_value(value)
        assert value == before
        assert not leaked(token, repr(clean), str(clean)), value
        assert isinstance(clean, (type(value), dict | frozenset | tuple))
        assert redact_value(clean) == clean


def test_a_value_without_a_token_is_itself() -> None:
    for value in (
        *("plain", b"bytes", 5, None, 1.5, object(), {"a": [1, {"b": (2,)}]}, [], {}, (), {1, 2}, Pair(1, 2)),
        MappingProxyType({}),
        {"token": None, "password": 5, "secret": "no"},
        [[[[[[[[[[[[1]]]]]]]]]]]],
    ):
        assert redact_value(value) is value


def test_a_value_is_read_together_with_its_key() -> None:
    secret = "hunter2hunter2"
    clean = redact_value({"password": secret, "note": secret, "api_key": secret, 5: secret})
    assert clean["note"] == clean[5] == secret
    assert clean["password"] == "[password]"
    assert MARK.fullmatch(clean["api_key"])


def test_a_value_that_holds_itself_ends() -> None:
    value: list[Any] = [jwt()]
    value.append(value)
    assert not leaked(value[0], repr(redact_value(value)))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20) | st.binary(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=15,
    )
)
def test_any_value_is_survived(value: Any) -> None:
    before = copy.deepcopy(value)
    redact_value(value)
    assert value == before


def test_after_a_change_of_keys_marks_follow() -> None:
    token = jwt()
    before = redact_text(token)
    use(KeyRing([b"another key of the ring"]))
    assert redact_text(token) != before


def test_of_what_begins_with_a_slash_after_password_paths_stay() -> None:
    for _ in range(200):  # of base64 one in 64 does
        value = f"/{base64.b64encode(draw.randbytes(30)).decode()}"
        assert redact_text(f"password={value} for bob") == "password=[password] for bob"

    for path in ("/run/secrets/db_password2", "/etc/app/Key2.pem", "/srv/Shop/API/v2/passwords"):
        assert redact_text(f"password={path} for bob") == f"password={path} for bob"


@pytest.mark.parametrize(
    "text",
    [
        "contrasena= Jwe={}",
        "トークン=SessAuthorization={}",
        "password: X1token={}",
        "secret Z9key:{}",
        "Authorization%3A+JWT+{}",
        "<x bearer token='{}'>./token-store@1.27",
    ],
)
def test_a_name_whose_value_is_a_mark_of_ours_is_no_value(text: str) -> None:
    marked = text.format(f"[token k0123abcd:{'5' * 32}]")
    assert redact_text(marked) == marked


def test_a_scheme_that_only_seems_to_stand_in_base64_is_none() -> None:
    image = "data:image/png;base64,DODf44UbWAirqC6Vkixtpw" + "DpOp+voVDEuDuW4JKRM309TfkuvmpSkS4ILzhKY"
    assert redact_text(image) == image
    digest = "ED25519 SHA256:p+fR85A3q3m" + "jwt+eoo73Ci4qFemcFyV/fXvehYXwqNg"
    assert redact_text(digest) == digest
    other = "ED25519 SHA256:" + "jwt+BFev/C6oBzPvZpHWRbQ9fClD0I5LaTImAlEmR30"
    assert redact_text(other) == other
    for line in ("GET+/orders+bearer+{}", "q=Authorization%3A+JWT+{}", "a=1&token+{}"):
        assert redact_text(line.format(opaque())).endswith("]"), line
    assert redact_text("Authorization=DPoP+voVDEuDuW4JKRM309TfkuvmpSkS4ILzhKY").endswith("]")
