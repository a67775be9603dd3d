"""Whose a token is, by what an application's own check has returned for it: claims, a user, or the id of one.

For libraries that leave the check to the application and hand on what it returns. Nothing is asked of a database, and
no text is taken for a name: it may be the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from bearerwatch.context import note
from bearerwatch.integrations._checked import checked

__all__ = ["note_claims", "note_holder"]

_PLAIN = (str, int, UUID)
_NAMES = ("sub", "user_id", "pk", "id")
"""Claims, and attributes, that name a holder; of a row of tokens it is ``user_id``, and not the row's own ``id``."""


def note_holder(found: Any, text: str | None = None) -> None:
    """Note that the token was verified, and what *found*, which stands for it, tells of its holder.

    Args:
        found: what the application's check returned.
        text: *found* where that is text and known not to be the token.
    """
    heard = checked()
    if heard is not None and heard.claims is found and found is not None and _names(found.get("sub")):
        note(verified=True)  # what else the JWT says has been read
    elif isinstance(found, Mapping):
        note(
            verified=True,
            subject=next((found[name] for name in _NAMES if _names(found.get(name))), None),
            client_id=_plain(found.get("client_id") or found.get("azp")),
            scopes=_listed(found.get("scope") or found.get("scp")),
        )
    elif isinstance(found, str):
        note(verified=True, subject=text)
    elif _names(found):
        note(verified=True, subject=found)
    else:
        note(verified=True, subject=_of(found))


def note_claims(claims: Mapping[str, Any], subject: object) -> None:
    """Note that a JWT with *claims* was verified, and that it is *subject*'s."""
    note(
        verified=True,
        subject=subject,
        client_id=claims.get("client_id") or claims.get("azp"),
        scopes=claims.get("scope") or claims.get("scp"),
    )


def _of(found: Any) -> object:
    fields = getattr(found, "__dict__", {})
    loaded = "_sa_instance_state" in fields  # SQLAlchemy asks the database for an attribute that has expired
    for name in _NAMES:
        value = fields.get(name) if loaded else getattr(found, name, None)
        if _names(value):
            return value
    return None


def _names(value: object) -> bool:
    return type(value) in _PLAIN or (isinstance(value, int | str | UUID) and not isinstance(value, bool))


def _plain(value: object) -> object:
    return value if isinstance(value, str) else None


def _listed(value: object) -> object:
    return value if isinstance(value, str | list | tuple | set | frozenset) else None
