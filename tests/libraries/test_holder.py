"""Whose a token is, by what an application's own check returned for it."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import pytest

from bearerwatch.context import RequestContext, current
from bearerwatch.integrations.libraries._holder import note_holder

ROW = UUID(int=7)


class Expired:
    """As SQLAlchemy leaves an object after a commit: reading the attribute would be a query."""

    _sa_instance_state: object
    id: object = property(lambda _self: pytest.fail("asked the database"))

    def __init__(self) -> None:
        self.__dict__["_sa_instance_state"] = object()


class Slotted:
    __slots__ = ("id",)

    def __init__(self) -> None:
        self.id = 41


@pytest.mark.parametrize(
    ("found", "subject", "client", "scopes"),
    [
        ({"sub": "41", "azp": "app", "scope": "read write"}, "41", "app", "read write"),
        ({"user_id": 41, "client_id": "app", "scp": ["read"]}, "41", "app", "read"),
        ({"sub": {"id": 41}, "client_id": ["app"], "scope": {"read": True}}, None, None, None),
        (SimpleNamespace(pk=41), "41", None, None),
        (SimpleNamespace(id=7, user_id=41), "41", None, None),
        (Slotted(), "41", None, None),
        (Expired(), None, None, None),
        (ROW, str(ROW), None, None),
        (41, "41", None, None),
        (True, None, None, None),
        ("perhaps the token", None, None, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_holder_client_and_scopes(found: object, subject: str | None, client: str | None, scopes: str | None) -> None:
    context = RequestContext("a-request")
    reset = current.set(context)
    try:
        note_holder(found)
    finally:
        current.reset(reset)
    noted = context.noted
    assert noted is not None
    assert (noted.verified, noted.outcome) == (True, None)
    assert (noted.subject and str(noted.subject), noted.client_id, noted.scopes) == (subject, client, scopes)
