"""What stands between names and values, and values with characters that few have."""

from __future__ import annotations

import pytest

from bearerwatch.redact import redact_text
from bearerwatch.redact.named import BETWEEN
from fakes import jwt, leaked, opaque

EXAMPLES = [one.strip() for _, examples in BETWEEN for one in examples.split(", ") if "…" in one]


@pytest.mark.parametrize("example", [examples for _, examples in BETWEEN])
def test_every_way_to_join_a_name_and_its_value(example: str) -> None:
    secret = opaque(32)
    text = example.replace("\\r\\n", "\r\n").replace("…", secret)
    assert not leaked(secret, redact_text(text)), text


ODD = ["aB3{}d9(kQ2m", "x{}7Kq2MnRt9", "Vn4m9E{}q_2gLw", "K{}vI-q98fTz"]


@pytest.mark.parametrize("sign", "%&;(),[|$!@#^*~?")
@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize(
    "text",
    [
        '{{"password":"{}"}}',
        '{{"password": "{}", "user": "bob"}}',
        "db_password='{}', port=5432",
        '"dbPassword" : "{}"',
        "`{}`",
    ],
)
def test_quotes_end_a_password_whatever_is_in_it(text: str, shape: str, sign: str) -> None:
    if text == "`{}`":
        text = "const password = `{}`;"
    secret = shape.replace("{}", sign)
    clean = redact_text(text.format(secret))
    assert clean == text.format("[password]").replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("sign", "%&;(,[$!@#^*~?")
@pytest.mark.parametrize(
    "text", ["DB_PASSWORD={}", "password: {}", "password = {} # as ever", "user=bob password={} ip=::1"]
)
def test_the_next_field_or_a_space_ends_one_without_quotes(text: str, sign: str) -> None:
    secret = f"aB3xK{sign}9kQ2m"
    assert redact_text(text.format(secret)) == text.format("[password]")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password={}&user=bob&x=1", "password=[password]&user=bob&x=1"),
        ("Server=db;Password={};Encrypt=true", "Server=db;Password=[password];Encrypt=true"),
        ("password changed from {0} to {0}", "password changed from [password] to [password]"),
        ("with password {} from ::1", "with password [password] from ::1"),
        ("Password for user bob: {}", "Password for user bob: [password]"),
        ("rootpw {}", "rootpw [password]"),
        ("(user=bob, password={}, age=7)", "(user=bob, password=[password], age=7)"),
        ("?password={}%26user%3Dbob", "?password=[password]%26user%3Dbob"),
    ],
)
def test_what_is_behind_a_password_stays(text: str, clean: str) -> None:
    assert redact_text(text.format("aB3xK9kQ2m")) == clean


@pytest.mark.parametrize("secret", ["Tiger_7372", "Castle254!", "summer_2026", "Winter-19"])
@pytest.mark.parametrize(
    "text", ['{{"pwd":"{}"}}', "--password {}", "user=bob pass={} ip=10.0.0.7", "password is '{}'"]
)
def test_a_word_with_a_number_is_a_password(text: str, secret: str) -> None:
    assert secret not in redact_text(text.format(secret))


@pytest.mark.parametrize(
    "text",
    [
        '"password": "<your password>", "token": "{{ token }}"',
        '"password": "[FILTERED]", "secret": "(none)"',
        '"secret": "get_secret(id=7)", "password": "${PASSWORD}"',
        "password=%(password)s token=%s",
        'password: "must not be empty, or short"',
        "ok 12 - password: rejects short passwords",
        "your password is expired2",
        "password changed to something-new by bob",
        "password hashing-with argon2id-v13",
        "beeline -u jdbc:hive2://db.example.com:10000 -n bob",
        "password=&user=bob12345",
        "allowed headers: ['authorization', 'x-api-key', 'cookie']",
        "Transfer of 83326 USDC tokens to 0x4662d3b1aa0c9bb5d0d8ff4a4c8ffa5f5b7ad346",
        '"AWS::IAM::AccessKey": "62d91b17309e76c8"',
        "proxy_auth=self._proxy.auth",
        "the token for user-12345 is expired-already",
        "Reset password with 'forgot-password' link",
        "Authorization:\nX-B3-Sampled: 1",
        "x-api-key: <token>\n/static/js/auth-token.2de07787.chunk.js",
        "Authorization: \nuser 5c88d0d5-427b-4cf1-846c-13a276882504 logged in",
        "auth:\n  provider_oauth2: 5c88d0d5-427b-4cf1-846c-13a276882504",
        "'auth': 'django.contrib.auth2'\n'secret': 'null'",
        "GET /oauth/token 200, token_type=Bearer expires_in=3600",
        "Forbidden (CSRF token missing or incorrect.): /checkout/123456A",
    ],
)
def test_templates_prose_and_other_lines_stay(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer <YOUR_API_KEY>\r\nX-Api-Key: {}",
        "X-Original-Authorization: {}\n[token k9f937ed0:0123] accepted",
        "token: |\n  {}",
        "<password>\n    {}\n</password>",
        "Authorization:\r\n Bearer {}",
        '"Authorization": "Bearer " + "{}"',
        "Authorization: key={}",
        'password = "{}" -> "{}"',
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{}\n{}\n-----END PGP PRIVATE KEY BLOCK-----",
        "AccessorID: 1\nSecretID: {}",
        "https://b.example.com/o?OSSAccessKeyId=LTAI&Expires=1770899912&Signature={}",
        "session id: {}",
        "New API key generated: {}",
        'WHERE "authtoken_token"."key" = \'{}\' LIMIT 21',
        "POST /saml/acs SAMLResponse={0}/{0}&RelayState=%2F",
        '{{"SAMLResponse":"{0}/{0}"}}',
        'I fill in "Password" with "{}"',
        "session: {{id: '{}'}}",
        "Incorrect API key provided: {}.",
        "token mismatch: expected {}, got abc",
        "Login failed with key {}",
        "_csrf={}",
        "Bearer[{}]",
        "remote: https://{}:x-oauth-basic@github.com/a/b",
        "<dt>API key</dt>\n<dd><code>{}</code></dd>",
        "[green]token[/green]: {}",
        "token={} " + "x" * 20,
    ],
)
def test_a_secret_goes_wherever_its_line_ends(text: str) -> None:
    secrets = [opaque(48), opaque(48)]
    clean = redact_text(text.format(*secrets))
    assert not leaked(secrets[0], clean)
    if text.count("{}") > 1:
        assert not leaked(secrets[1], clean)
    assert redact_text(clean) == clean


@pytest.mark.parametrize("length", [3000, 20_000])
@pytest.mark.parametrize(
    "text", ["token={}", "password={} x", "mysql -u root:{}", "Authorization: Bearer {}", '"token":"{}"']
)
def test_long_ones_go_whole(text: str, length: int) -> None:
    secret = opaque(length)
    assert not leaked(secret, redact_text(text.format(secret)))


@pytest.mark.parametrize(
    "text",
    [
        "login -p{}-sntrys_abbsncodenfc_npm_shpca_nfp_fm2_p",
        "Pass:{}.S->Fm1_?R",
        "PasswordText>{}=>drssw/",
        "{} IDENTIFIED BY 'harb",
        " --user i:{}",
        "token:/dt0s_sntrys_{}-resetaqvnsess-pypi-ageic",
    ],
)
def test_what_is_glued_to_a_secret_is_judged_at_once(text: str) -> None:
    clean = redact_text(text.format(opaque(20)))
    assert redact_text(clean) == clean


def test_base64_amid_which_a_scheme_seems_to_stand_stays() -> None:
    text = "image/png;base64,xrUDs0U7yEZz42GIQHb+/UcHQ+DB4qjqSUYnmIJWT+EctkF1+/OqeghnHZaKKhsZSGtdjod98xbR81VSFEl6jv8"
    assert redact_text(text) == text


def test_what_stands_behind_a_private_key_stays() -> None:
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{opaque(64)}\n{opaque(64)}\n-----END RSA PRIVATE KEY-----"
    line = "and this is a line of a log that has nothing to hide, however long it may be"
    clean = redact_text(f"{key}\n{line}\n{line}\n")
    assert clean.endswith(f"-----END RSA PRIVATE KEY-----\n{line}\n{line}\n")
    assert clean.startswith("-----BEGIN RSA PRIVATE KEY-----[token ")


@pytest.mark.parametrize("sign", [".", "/", "~", "+"])
def test_what_is_left_of_a_value_that_had_a_token_in_it_is_looked_at_again(sign):
    text = f"secret: CmvmdgtuPNU_AUTHORIZATION.K8S.IO{sign}{jwt()} x"
    clean = redact_text(text)
    assert redact_text(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "password: {}",
        "db:\n  user: app\n  password: {}\n",
        "your password is {}",
        "temporary password: {}",
        "Passwort: {}",
        "userPassword: {}",
    ],
)
def test_two_words_at_the_end_of_a_line_are_a_password(text: str) -> None:
    assert "horsemeadow" not in redact_text(text.format("horsemeadow"))
    for word in ("unauthenticated", "documentation", "elsewhere", "alphanumeric", "administrator"):
        assert redact_text(text.format(word)) == text.format(word)


def test_members_of_a_form_are_named_in_brackets() -> None:
    secret = f"aB3{opaque(13)}"
    assert redact_text(f"user[password]={secret}&user[name]=ada") == "user[password]=[password]&user[name]=ada"
    assert redact_text("for [password] and x:[password]") == "for [password] and x:[password]"
