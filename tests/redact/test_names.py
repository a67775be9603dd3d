"""Names of fields: which stand before a secret."""

from __future__ import annotations

import pytest

from bearerwatch.redact.names import LONG_TOKEN, NONE, PASSWORD_LIKE, TOKEN_LIKE, secret_name

SECRET = [
    "access_token",
    "accessToken",
    "ACCESS_TOKEN",
    "AccessToken",
    "access-token",
    "refresh_token",
    "id_token",
    "authToken",
    "X-Auth-Token",
    "X-Api-Key",
    "apiKey",
    "APIKey",
    "api_key",
    "API_KEY",
    "apikey",
    "STRIPE_SECRET_KEY",
    "client_secret",
    "clientSecret",
    "my-service-secret-v2",
    "AWS_SESSION_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "sig",
    "AccountKey",
    "private_key",
    "signing_key",
    "encryptionKey",
    "session",
    "sessionid",
    "session_id",
    "SESSIONID",
    "JSESSIONID",
    "PHPSESSID",
    "sid",
    "csrftoken",
    "X-CSRF-Token",
    "GITHUB_TOKEN",
    "hub_token2",
    "client_assertion",
    "jwt",
    "credential",
    "credentials",
    "authCode",
    "authorization_code",
    "bearer",
    "token_value",
    "tokenRaw",
    "secrets",
    "webhook_signing_secret",
    "usertoken",
    "dbsecret",
]
PASSWORD = [
    "password",
    "Password",
    "passwd",
    "PASSWORD",
    "db_password",
    "dbPassword",
    "passphrase",
    "pwd",
    "userPass",
    "PGPASSWORD",
    "pass",
]
HARMLESS = [
    "token_type",
    "tokenType",
    "token_count",
    "max_tokens",
    "maxTokens",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "next_page_token",
    "nextPageToken",
    "token_url",
    "token_endpoint",
    "tokenizer",
    "token_id",
    "tokenName",
    "secret_name",
    "secretName",
    "key_id",
    "keyId",
    "public_key",
    "publicKey",
    "primary_key",
    "foreign_key",
    "sort_key",
    "key",
    "keys",
    "password_hash",
    "password_reset",
    "password_field",
    "passed",
    "bypass",
    "compass",
    "session_timeout",
    "session_count",
    "signature",
    "code",
    "author",
    "authority",
    "basic_auth_enabled",
    "sigterm",
    "sidecar",
    "stop",
    "assertionError",
    "credential_type",
    "v2",
    "value",
    "_",
    "-",
    "42",
]


@pytest.mark.parametrize("name", SECRET)
def test_names_of_tokens(name: str) -> None:
    assert secret_name(name) in (TOKEN_LIKE, LONG_TOKEN)


@pytest.mark.parametrize("name", PASSWORD)
def test_names_of_passwords(name: str) -> None:
    assert secret_name(name) == PASSWORD_LIKE


@pytest.mark.parametrize("name", [*HARMLESS, ""])
def test_names_of_other_things(name: str) -> None:
    assert secret_name(name) == NONE
