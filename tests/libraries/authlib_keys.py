"""Keys as Authlib takes them: of joserfc since 1.7, and before that of its own."""

from __future__ import annotations

from typing import Any

from libraries.versions import since

if since("Authlib", "1.7"):
    from joserfc.jwk import KeySet, OctKey
else:
    from authlib.jose import KeySet, OctKey

__all__ = ["keys"]


def keys(**secrets: str) -> Any:
    """A set of the keys of those names."""
    return KeySet([OctKey.import_key(secret, {"kid": kid}) for kid, secret in secrets.items()])
