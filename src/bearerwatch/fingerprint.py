"""Keyed token ids: what stands for a token wherever bearerwatch speaks of one.

``<key id>:<128-bit HMAC-SHA-256>`` (RFC 2104). A plain hash would be an offline oracle for guessable
tokens, and a prefix names nothing: the first characters of nearly every JWT are ``eyJhbGci``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bearerwatch import _guard, _jws
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MIN_LENGTH", "Identity", "KeyRing", "fingerprint", "load_ring", "ring", "state_dir", "use"]

MIN_LENGTH = 16
"""Credentials shorter than this are guessable: they are masked and share ``short:<length>``."""

_MIN_KEY = 16
_MAC_BYTES = 16


class Identity(NamedTuple):
    """The ids one presented credential has."""

    token_id: str
    token_id_prev: str | None
    presented_id: str


class KeyRing:
    """The active fingerprint key and older ones, newest first.

    Args:
        keys: secrets of at least 16 bytes each; the first is active.
        generated: whether the key was made up here because none is configured.

    Raises:
        ConfigurationError: no key, a short key or a repeated one.
    """

    __slots__ = ("_active", "_older", "active_id", "generated")

    def __init__(self, keys: Sequence[bytes], *, generated: bool = False) -> None:
        if not keys:
            raise ConfigurationError("the key ring is empty: set BEARERWATCH_KEYS or BEARERWATCH_KEYS_FILE")
        for place, key in enumerate(keys, 1):
            if len(key) < _MIN_KEY:
                raise ConfigurationError(
                    f"fingerprint key {place} has {len(key)} bytes, fewer than {_MIN_KEY}: "
                    "make one with 'bearerwatch key new'"
                )
        if len(set(keys)) != len(keys):
            raise ConfigurationError("the key ring holds the same key twice: remove one")
        ringed = [(_key_id(key), key) for key in keys]
        self._active = ringed[0]
        self._older = ringed[1:]
        self.active_id = ringed[0][0]
        self.generated = generated

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, the active one first."""
        return (self.active_id, *(name for name, _ in self._older))

    def __repr__(self) -> str:
        return f"KeyRing(active={self.active_id!r}, older={[name for name, _ in self._older]!r})"

    def identify(self, token: str, signing_input: str | None = None) -> Identity:
        """All ids of *token*; *signing_input* is ``header.payload`` of a well-formed JWT, else ``None``."""
        if len(token) < MIN_LENGTH:
            short = f"short:{len(token)}"
            return Identity(short, None, short)
        whole = token.encode("utf-8", "surrogatepass")
        name, key = self._active
        presented = f"{name}:{_mac(key, whole)}"
        signed = whole if signing_input is None else signing_input.encode("utf-8", "surrogatepass")
        token_id = presented if signing_input is None else f"{name}:{_mac(key, signed)}"
        previous = None
        if self._older:
            older_name, older_key = self._older[0]
            previous = f"{older_name}:{_mac(older_key, signed)}"
        return Identity(token_id, previous, presented)

    def token_id(self, token: str) -> str:
        """The id under which *token* travels: for a well-formed JWT the MAC of ``header.payload``."""
        if len(token) < MIN_LENGTH:
            return f"short:{len(token)}"
        name, key = self._active
        signed = _jws.signing_input(token) or token
        return f"{name}:{_mac(key, signed.encode('utf-8', 'surrogatepass'))}"

    def presented_id(self, token: str) -> str:
        """The MAC of *token* exactly as sent."""
        return self.identify(token).presented_id

    def all_ids(self, token: str) -> list[str]:
        """Ids of *token* under every key of the ring, active first: what a search has to look for."""
        if len(token) < MIN_LENGTH:
            return [f"short:{len(token)}"]
        data = (_jws.signing_input(token) or token).encode("utf-8", "surrogatepass")
        return [f"{name}:{_mac(key, data)}" for name, key in (self._active, *self._older)]

    def pseudonym(self, kind: str, value: str) -> str:
        """A stable pseudonym for *value* (a subject, say), apart from every token id."""
        name, key = self._active
        data = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return f"{kind}:{name}:{_mac(key, data)}"


def _mac(key: bytes, data: bytes) -> str:
    return hmac.digest(key, data, "sha256")[:_MAC_BYTES].hex()


def _key_id(key: bytes) -> str:
    return "k" + hmac.digest(key, b"bearerwatch key id", hashlib.sha256).hex()[:8]


def state_dir(env: Mapping[str, str] | None = None) -> Path:
    """Where bearerwatch keeps state unless told: ``BEARERWATCH_STATE``, else the XDG state folder.

    Raises:
        ConfigurationError: neither is set and the user has no home folder.
    """
    env = os.environ if env is None else env
    if configured := env.get("BEARERWATCH_STATE"):
        return Path(configured)
    if base := env.get("XDG_STATE_HOME"):
        return Path(base) / "bearerwatch"
    try:
        return Path.home() / ".local" / "state" / "bearerwatch"
    except RuntimeError:  # a container's made-up user id, say
        raise ConfigurationError(
            "this user has no home folder to keep state in: set BEARERWATCH_STATE to a folder that is writable"
        ) from None


def load_ring(env: Mapping[str, str] | None = None, *, folder: Path | None = None) -> KeyRing:
    """The ring named by the environment, else a key generated once and kept in the state folder.

    ``BEARERWATCH_KEYS`` holds keys separated by commas or white space, ``BEARERWATCH_KEYS_FILE`` names a
    file with one key a line; the first is active.

    Raises:
        ConfigurationError: a key is too short, or the file cannot be read.
    """
    env = os.environ if env is None else env
    text = env.get("BEARERWATCH_KEYS", "")
    if file := env.get("BEARERWATCH_KEYS_FILE"):
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"BEARERWATCH_KEYS_FILE={file} cannot be read: {reason}") from None
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        if not text.strip():
            raise ConfigurationError(f"BEARERWATCH_KEYS_FILE={file} holds no key: put one key a line")
    keys = [key.encode() for key in text.replace(",", " ").split()]
    if keys:
        return KeyRing(keys)
    return KeyRing([_generated_key(folder or state_dir(env))], generated=True)


def _generated_key(folder: Path) -> bytes:
    path = folder / "fingerprint.key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".fingerprint.{secrets.token_hex(8)}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, secrets.token_urlsafe(32).encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, path)  # whoever is first wins; everybody reads the winner's
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_bytes().strip()
    except OSError as error:
        _guard.say(
            f"cannot keep a generated fingerprint key in {folder} ({error.strerror}); fingerprints of this process "
            "correlate with no other. Set BEARERWATCH_KEYS or make the folder writable"
        )
        return f"{socket.gethostname()}-{secrets.token_urlsafe(32)}".encode()


_ring: KeyRing | None = None


def ring() -> KeyRing:
    """The key ring of this process, loaded at first use."""
    global _ring  # noqa: PLW0603
    if _ring is None:
        _ring = load_ring()
    return _ring


def use(new: KeyRing | None) -> None:
    """Make *new* the ring of this process; ``None`` loads it anew at the next use."""
    global _ring  # noqa: PLW0603
    _ring = new


def fingerprint(token: str) -> str:
    """The id that stands for *token* in events, logs and alerts: ``<key id>:<32 hex digits>``.

    For a well-formed JWT it covers ``header.payload``, so a copy with a tampered signature has the same
    id. Tokens under 16 characters share ``short:<length>``.
    """
    return ring().token_id(token)
