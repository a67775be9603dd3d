"""Tokens that are withdrawn, told by their fingerprints: to revoke one nobody needs to have it.

A :class:`Revocations` is asked ``token_id in revocations``. It is kept fresh from a source, one file each in this
package, named by its URL::

    Revocations("file:/etc/bearerwatch/revoked.jsonl")
    Revocations("redis://cache.internal:6379/0")
    Revocations("django-cache:default")
    Revocations("collector+https://collector.internal")

See ``docs/guides/revocation.md``.
"""

from __future__ import annotations

from bearerwatch.verify.revocations._entry import Revocation
from bearerwatch.verify.revocations._held import Held, Revocations
from bearerwatch.verify.revocations._source import Found, Ledger, Source, SourceLost, open_ledger, open_source

__all__ = [
    "Found",
    "Held",
    "Ledger",
    "Revocation",
    "Revocations",
    "Source",
    "SourceLost",
    "open_ledger",
    "open_source",
]
