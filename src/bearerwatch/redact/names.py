"""Which field names stand before a secret: ``accessToken``, ``X-Api-Key``, ``STRIPE_SECRET_KEY``, ``db_password``.

A name is read as words, for nobody can list every name: the last word says what the value is, the one before it what
kind. ``access_token`` is a secret, ``token_type`` is none, and of ``max_tokens`` there are many.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["DECIDING", "FILLERS", "LONG_TOKEN", "NONE", "PASSWORD_LIKE", "TOKEN_LIKE", "secret_name"]

NONE = 0
LONG_TOKEN = 1
"""A token if it is long: these names stand before other things as well."""
TOKEN_LIKE = 2
PASSWORD_LIKE = 3
"""What it holds may have been chosen by a person: it is masked, and not fingerprinted."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_VERSION = re.compile(r"v?[0-9]+\Z")
FILLERS = _words(
    "again b64 base base64 confirm confirmation current header hdr hint new old plain plaintext raw repeat str string "
    "data text val value"
)
_TOKENS = _words(
    "apikey apisecret appsecret assertion auth authcode authtoken bearer bearertoken clientsecret cred credential "
    "credentials creds jsessionid jwe jws jwt phpsessid secret secrets sessid sess session sessionid sid "
    "sessiontoken token tokens accesskey accesstoken refreshtoken idtoken apitoken privatekey secretkey csrftoken "
    "aspxauth pepper tok xsrftoken usertoken signingkey encryptionkey webhooksecret "
)
_WEAK = _words("auth bearer cred creds csrf xsrf sess session sid ticket tokens secrets")
_PASSWORDS = _words(
    "kennwort psk senha wachtwoord "
    "passe pass passcode passphrase passwd password passwords passwort pw pwd userpass dbpass"
)
_ENDINGS = ("token", "secret", "apikey", "sessionid", "privatekey", "secretkey", "accesskey", "jwt")
_PASSWORD_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "storepass",
    "keypass",
    "requirepass",
    "masterauth",
    "bindpw",
    "rootpw",
)
_KEYS = _words(
    "access account aes api app application auth client consumer crypto deploy encrypt "
    "preshared encryption fastly fernet functions hmac "
    "jwt license master private secret service "
    "session shared sign signing storage subscription webhook "
)
"""What kinds of ``key`` are secret; of others, public and foreign ones, there are more."""
_IDS = frozenset({"session", "sess"})
_CODES = frozenset({"auth", "authorization", "device", "verification", "backup", "recovery"})
_NO_TOKENS = _words(
    "abort bos cancel cancellation cls completion continuation count cursor eos input lexer mask max min n next "
    "num number output pad page pagination parse parser prompt sep special start stop sync syntax total unk used "
)
"""Tokens that let nobody in: those of language models, of parsers, and of pages."""


DECIDING = frozenset(
    {*_TOKENS, *_WEAK, *_PASSWORDS, *_ENDINGS, *_PASSWORD_ENDINGS, "key", "keys", "code", "sig", "signature"}
)
"""With which, before :data:`FILLERS` and numbers, every name ends that :func:`secret_name` knows, or with ``id`` or
``verifier`` behind one of them."""


@lru_cache(maxsize=4096)
def secret_name(name: str) -> int:
    """What a field called *name* holds: :data:`NONE`, :data:`TOKEN_LIKE` or :data:`PASSWORD_LIKE`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    while len(words) > 1 and (words[-1] in FILLERS or _VERSION.match(words[-1])):
        words.pop()
    if words and words[-1] == "v":
        words.pop()
    if not words:
        return NONE
    if "public" in words:
        return NONE
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _PASSWORDS or last.endswith(_PASSWORD_ENDINGS):
        return PASSWORD_LIKE
    if last in ("token", "tokens") and before in _NO_TOKENS:
        return NONE
    if last in _WEAK:
        return LONG_TOKEN
    if last in _TOKENS or last.endswith(_ENDINGS):
        return TOKEN_LIKE
    if last in ("key", "keys") and before in _KEYS:
        return TOKEN_LIKE if before in ("api", "access") else LONG_TOKEN
    if last == "id" and before == "secret":
        return LONG_TOKEN  # of Vault and Consul; with others it is a number or a path
    if (
        (last == "id" and before in _IDS)
        or (last == "verifier" and before == "code")
        or (last == "code" and before in _CODES)
        or (last in ("signature", "sig") and (before in ("amz", "goog", "oauth") or name.lower() == "sig"))
    ):
        return TOKEN_LIKE
    return NONE
