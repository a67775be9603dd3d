"""Who may send events over HTTP: named keys, of which only digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path

from bearerwatch.errors import ConfigurationError

__all__ = ["IngestKeys"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_MIN_SECRET = 16
_MAX_SECRET = 512


class IngestKeys:
    """Names and the SHA-256 of their secrets.

    Args:
        pairs: name to secret. The name becomes the source ``http:<name>`` of what is sent with it.

    Raises:
        ConfigurationError: a name or a secret cannot be used; the message never repeats a secret.
    """

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._digests: list[tuple[str, bytes]] = []
        for name, secret in pairs.items():
            if not _NAME.match(name):
                raise ConfigurationError(
                    "an ingest key's name is 1 to 64 letters, digits, '.', '_' or '-': write name:secret"
                )
            if not _MIN_SECRET <= len(secret) <= _MAX_SECRET or not secret.isascii() or not secret.isprintable():
                raise ConfigurationError(
                    f"the ingest key {name} needs a secret of {_MIN_SECRET} to {_MAX_SECRET} ASCII characters:"
                    " make one with 'openssl rand -base64 32'"
                )
            self._digests.append((name, _digest(secret)))
        if len({digest for _, digest in self._digests}) != len(self._digests):
            raise ConfigurationError("two ingest keys have the same secret: give each its own")

    def __repr__(self) -> str:
        return f"IngestKeys({', '.join(name for name, _ in self._digests)})"

    def __len__(self) -> int:
        return len(self._digests)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> IngestKeys:
        """Keys from ``BEARERWATCH_INGEST_KEYS`` (``name:secret``, apart by commas or white space) or the
        file ``BEARERWATCH_INGEST_KEYS_FILE`` (one a line, ``#`` begins a comment). May be none.

        Raises:
            ConfigurationError: the file cannot be read, or a pair cannot be used.
        """  # noqa: D205 - the two ways in belong together
        env = os.environ if env is None else env
        words = env.get("BEARERWATCH_INGEST_KEYS", "").replace(",", " ").split()
        if file := env.get("BEARERWATCH_INGEST_KEYS_FILE"):
            try:
                text = Path(file).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise ConfigurationError(
                    f"BEARERWATCH_INGEST_KEYS_FILE={file} cannot be read ({why}): mend its path, owner or mode"
                ) from None
            lines = (line.strip() for line in text.splitlines())
            words += [line for line in lines if line and not line.startswith("#")]
        pairs: dict[str, str] = {}
        for place, word in enumerate(words, 1):
            name, colon, secret = word.partition(":")
            if not colon:
                raise ConfigurationError(f"ingest key {place} is not written name:secret")
            if name in pairs:
                raise ConfigurationError(f"ingest key {place} repeats a name: give each key its own")
            pairs[name] = secret
        return cls(pairs)

    def name_of(self, authorization: str | None) -> str | None:
        """The name of the key in an ``Authorization: Bearer`` header (RFC 6750 §2.1), or ``None``.

        Every key is compared, each in constant time, so timing tells nothing.
        """
        scheme, _, credential = (authorization or "").strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential or len(credential) > _MAX_SECRET:
            return None
        digest = _digest(credential)
        found = None
        for name, known in self._digests:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
