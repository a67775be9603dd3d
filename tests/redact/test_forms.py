"""Sentences of every kind, with a secret in them and without."""

from __future__ import annotations

import base64

import pytest

from bearerwatch.redact import checks, redact_text
from bearerwatch.redact.patterns import FORMS
from fakes import jwt, leaked, opaque


@pytest.mark.parametrize(
    "text",
    [
        "redis://:${REDIS_PASSWORD}@cache:6379/0",
        "mongodb://<username>:<password>@cluster0.mongodb.net",
        "postgres://user:password@localhost:5432/db",
        'curl -u "$USER:$PASS" https://api.example.com',
        "secretKey=javax.crypto.spec.SecretKeySpec@3b4d1423",
        'Warning  FailedMount  kubelet  secret "api-token-j8kp4" not found',
        'serviceaccount token "builder-token-f828h" mounted',
        'Using secret "projects/365983918570/secrets/stripe-api-key/versions/latest"',
        "api_key=sk_live_...abcd",
        "token=eyJ... (truncated)",
        "Authorization: Bearer eyJhbGciOi...",
        'token = "op://Production/stripe/credential"',
        "checksum/secret: " + "0123456789abcdef" * 4,
        "mot de passe: obligatoire",
        "tiktoken>=0.3.0 tokenizers<0.20",
        "token=Internationalization",
        "session=2026-03-01T10:00:00Z opened",
        "Cookie: _ga=GA1.2.1234567890.1767225600; lang=de; consent=2026-03-01T10:00:00Z-v3",
    ],
)
def test_what_manuals_masks_and_machines_write_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Your temporary password is {} - change it at first login.",
        "A temporary password is generated for root@localhost: {}",
        "Login failed for user sa with password {}",
        "Invalid API key provided: {}",
        '1763781301.1 [0 10.0.0.9:1] "AUTH" "{}"',
        '1763781306.2 [0 10.0.0.9:1] "CONFIG" "SET" "requirepass" "{}"',
        "> PASS {}",
        "AUTH PLAIN {}",
        "mysql -h db -uroot -p{} -e 'select 1'",
        "redis-cli -h cache -a {} ping",
        "aws configure set aws_secret_access_key {}",
        "CREATE USER 'app'@'%' IDENTIFIED BY '{}'",
        'array(2) {{ ["password"]=> string(24) "{}" }}',
        's:8:"password";s:24:"{}";',
        "Cookie: lang=de; .AspNetCore.Identity.Application={}; theme=dark",
        "GET /accounts/reset-password/{} HTTP/1.1",
        '{{"svc_tok":"{}"}}',
        "MASTER_PW={}",
        "api_token=UUID('{}')",
        "contrase\u00f1a: {}",
        "\u5bc6\u7801\uff1a{}",
        "client_key_data: {}",
    ],
)
def test_what_people_and_protocols_say_of_a_value_is_heard(text: str) -> None:
    token = f"aB3{opaque(37)}"
    clean = redact_text(text.format(token))
    assert not leaked(token, clean)
    assert clean.startswith(text.format("")[:4])


def test_every_form_says_where_it_comes_from_and_has_its_token_group() -> None:
    assert len({form.id for form in FORMS}) == len(FORMS)
    for form in FORMS:
        assert form.source
        assert "t" in form.pattern.groupindex
        assert form.check in checks.CHECKS
        assert all(anchor == anchor.lower() and len(anchor) >= 2 for anchor in form.anchors)


def test_the_parts_of_a_jwt_go_each_on_its_own() -> None:
    header, claims, signature = jwt({"sub": "u-1", "exp": 1}).split(".")
    for text in (
        f"{{'header': '{header}', 'payload': '{claims}', 'signature': '{signature}'}}",
        f"parts = ['{header}', '{claims}', '{signature}']",
        f"payload={claims} signature={signature}",
    ):
        clean = redact_text(text)
        assert claims not in clean
        assert signature not in clean
    cursor = base64.urlsafe_b64encode(b'{"id": 7, "page": "next", "order": "created"}').decode().rstrip("=")
    assert redact_text(f"next={cursor}") == f"next={cursor}"


@pytest.mark.parametrize("upper", [False, True])
def test_a_hex_dump_of_a_token_goes_as_a_whole(upper: bool) -> None:
    data = f"GET / HTTP/1.1\r\nAuthorization: Bearer {opaque(40)}\r\n\r\n".encode()
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        digits = part.hex(" ").upper() if upper else part.hex(" ")
        lines.append(f"{at:08x}  {digits:<47}  |{shown}|")
    text = "sent\n" + "\n".join(lines) + "\nover"
    clean = redact_text(text)
    assert clean.startswith("sent\n[token ")
    assert clean.endswith("]\nover")
    harmless = "00000000  4d 5a 90 00 03 00 00 00  |MZ......|\n" * 3
    assert redact_text(harmless) == harmless


def test_a_value_may_stand_before_its_name() -> None:
    secret = opaque(32)
    assert not leaked(secret, redact_text(f'{{"value": "{secret}", "name": "x-api-key"}}'))
    other = f'{{"value": "{secret}", "name": "x-request-id"}}'
    assert redact_text(other) == other


@pytest.mark.parametrize(
    "text",
    [
        "clave secreta: {}",
        "API-Schl\u00fcssel: {}",
        "jeton d'acc\u00e8s : {}",
        "cl\u00e9 API={}",
        "chave de API: {}",
        "chiave API: {}",
        "\u0441\u0435\u043a\u0440\u0435\u0442\u043d\u044b\u0439 \u043a\u043b\u044e\u0447: {}",
        "\u0442\u043e\u043a\u0435\u043d: {}",
        "\u5bc6\u94a5: {}",
        "m\u1eadt kh\u1ea9u: {}",
        "kata sandi: {}",
    ],
)
def test_names_of_other_languages_are_names(text: str) -> None:
    secret = f"aB3{opaque(29)}"
    assert not leaked(secret, redact_text(text.format(secret)))


@pytest.mark.parametrize(
    "text",
    [
        "clave primaria: pedido_id, clave for\u00e1nea: cliente_id",
        "Schl\u00fcssel nicht gefunden: Kundenstammdaten",
        "cl\u00e9 primaire : identifiant_commande",
        "\u043a\u043b\u044e\u0447: customer:12345:profile",
        "\u0442\u043e\u043a\u0435\u043d: \u043d\u0435\u0434\u0435\u0439\u0441\u0442\u0432\u0438\u0442\u0435\u043b\u0435\u043d",
        "GET /share?t=1763781301 HTTP/1.1",
        "http://host:8080?owner=ada@example.com",
        "user[name]=ada&user[role]=admin",
    ],
)
def test_keys_of_tables_and_caches_and_members_stay(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{{"token": {{"string": "{}"}}}}',
        ":token: {}",
        "nuget push x.nupkg -ApiKey {} -Source y",
        "http-request set-header X-Api-Key {}",
        ".ASPXAUTH={}",
        "https://conda.example.com/t/{}/main",
        '"github-oauth": {{"github.com": "{}"}}',
        'BUNDLE_GEMS__EXAMPLE__COM: "bob:{}"',
        "echo '{}' | docker secret create db -",
    ],
)
def test_what_a_held_out_set_had_is_found(text: str) -> None:
    secret = f"aB3{opaque(29)}"
    clean = redact_text(text.format(secret))
    assert not leaked(secret, clean)
    assert redact_text(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "kafka sasl.mechanism=OAUTHBEARER security.protocol=SASL_SSL",
        "your password is confidential",
        "root:x:0:0:token:/root:/bin/bash",
        "https://youtu.be/dQw4w9WgXcQ?t=42",
    ],
)
def test_settings_adjectives_and_fields_between_colons_stay(text: str) -> None:
    assert redact_text(text) == text
