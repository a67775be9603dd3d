"""The operations of the API on django-ninja whose authenticators raise from what PyJWT has said of a token."""

from __future__ import annotations

from libraries.cases import Ask, NotThere
from libraries.sites import ninja

stacks = ninja.stacks


def asks() -> dict[str, Ask | NotThere]:
    return {
        case: ask._replace(path=f"/strict{ask.path}") if isinstance(ask, Ask) else ask
        for case, ask in ninja.asks().items()
    }
