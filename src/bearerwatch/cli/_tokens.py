"""Naming a token on the command line without ever writing the token there."""

from __future__ import annotations

import getpass
import os
import re
import sys
from pathlib import Path

from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import KeyRing, load_ring

__all__ = ["from_stdin", "ring_of", "token_ids"]

_PRINTED = re.compile(r"\[?(?:token )?(?P<id>k[0-9a-f]{8}:[0-9a-f]{4,32}|short:[0-9]{1,4})(?:…|\.\.\.)?\]?", re.ASCII)
_LONGEST = 1 << 20
_SCHEMES = re.compile(r"(?:authorization\s*:\s*)?(?:bearer|token|jwt|dpop)\s+", re.IGNORECASE)


def token_ids(option: str, folder: Path) -> list[str]:
    """The fingerprints *option* stands for: one as logs print it, or ``-`` for a token on standard input.

    Raises:
        ConfigurationError: it is neither. It is not repeated, for it may be a token.
    """
    if option == "-":
        ring = ring_of(folder)
        token = from_stdin()
        return list(dict.fromkeys([*ring.all_ids(token), ring.presented_id(token)]))
    match = _PRINTED.fullmatch(option.strip())
    if match is None:
        raise ConfigurationError(
            "--token takes a fingerprint as logs and alerts print it, such as k1a2b3c4d:9f86d081, and this is none "
            "(it is not repeated here: it may be a token). To look for a token itself, hand it over on standard "
            "input: bearerwatch timeline --token - < FILE. A token that stood on a command line is in the shell's "
            "history and was visible to every user: revoke it"
        )
    return [match["id"]]


def from_stdin() -> str:
    """One token from standard input, typed unseen where that is a terminal.

    Raises:
        ConfigurationError: there is none, or it is not text.
    """
    if sys.stdin is None:
        raise ConfigurationError("standard input is closed: hand the token over there")
    if sys.stdin.isatty():
        text = getpass.getpass("Token (not shown): ")
    else:
        try:
            text = sys.stdin.buffer.read(_LONGEST + 1).decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigurationError("what standard input holds is not text: hand over one token") from None
    token = _SCHEMES.sub("", text.strip(), count=1)
    if not token or len(text) > _LONGEST or len(token.split()) != 1:
        raise ConfigurationError("standard input must hold one token and nothing else")
    return token


def ring_of(folder: Path) -> KeyRing:
    """The key ring fingerprints here are made with. Reading never makes a new key.

    Raises:
        ConfigurationError: there is none yet.
    """
    configured = os.environ.get("BEARERWATCH_KEYS", "").strip() or os.environ.get("BEARERWATCH_KEYS_FILE")
    if not configured and not (folder / "fingerprint.key").exists():
        raise ConfigurationError(
            f"there is no key ring here: neither BEARERWATCH_KEYS nor BEARERWATCH_KEYS_FILE is set and {folder} holds "
            "no generated key. Set the one the services use"
        )
    return load_ring(folder=folder)
