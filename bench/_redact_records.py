"""Log records as applications make them: clean ones, those that only speak of secrets, and those that leak one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bench._redact_made import Maker

__all__ = ["CLEAN", "KINDS", "LEAK", "TRICKY", "Record", "records"]

CLEAN, TRICKY, LEAK = KINDS = ("clean", "tricky", "leak")


class Record(NamedTuple):
    """A call of a logger."""

    message: str
    args: tuple[Any, ...]
    secret: str = ""


_Make = Callable[[Maker, int], Record]
_MAKES: dict[str, tuple[_Make, ...]] = {
    CLEAN: (
        lambda make, n: Record("%s %s %d in %.3f s", ("GET", f"/api/v2/orders/{n}", 200, make.draw.random())),
        lambda make, n: Record(
            "order %d placed by %s: %d items, %.2f EUR", (n, f"customer-{n}", n % 9, make.draw.random() * 500)
        ),
        lambda make, _: Record("task %s[%s] succeeded", ("shop.tasks.send_receipt", make.uuid())),
        lambda _, n: Record("cache miss for %r, loading from %s", (f"product:{n}", "replica-2")),
        lambda _, n: Record("connected to %s:%d after %d ms", ("db.example.com", 5432, n % 90)),
        lambda make, n: Record(
            "(%.3f) SELECT id, status FROM orders WHERE id = %s AND status IN %s",
            (make.draw.random(), n, ("open", "paid")),
        ),
    ),
    TRICKY: (
        lambda _, n: Record("token refreshed for user %s in %d ms", (f"u-{n}", n % 90)),
        lambda _, n: Record("Bearer authentication failed for %s: token expired %d s ago", (f"u-{n}", n % 900)),
        lambda _, n: Record("password reset requested for user %s, mail %d queued", (f"u-{n}", n)),
        lambda _, n: Record("authorization header missing on %s %s", ("POST", f"/api/v2/orders/{n}")),
        lambda _, n: Record(
            "%s %s %d, token_type=%s expires_in=%d", ("POST", "/oauth/token", 200, "Bearer", 3600 + n % 60)
        ),
        lambda _, n: Record("Forbidden (CSRF token missing or incorrect.): %s", (f"/checkout/{n}",)),
    ),
    LEAK: (
        lambda make, n: _leak(
            "request of user %d with headers %s", make.jwt(), lambda t: (n, {"Authorization": f"Bearer {t}"})
        ),
        lambda make, n: _leak("cannot verify %s of user %d", make.jwt(), lambda t: (t, n)),
        lambda make, _: _leak("upstream said 401 to Authorization: Bearer %s", make.text(40), lambda t: (t,)),
        lambda make, n: _leak("GET %s %d", make.text(32), lambda t: (f"/api/v2/export?access_token={t}&n={n}", 200)),
        lambda make, n: _said(make.text(43), lambda t: f'token response: {{"access_token": "{t}", "user": {n}}}'),
        lambda make, _: _said(make.jwt(), lambda t: f"retrying with bearer {t}"),
    ),
}


def _leak(message: str, secret: str, args: Callable[[str], tuple[Any, ...]]) -> Record:
    return Record(message, args(secret), secret)


def _said(secret: str, message: Callable[[str], str]) -> Record:
    """A message that has the secret in it already, as an f-string makes it."""
    return Record(message(secret), (), secret)


def records(kind: str, count: int, seed: int) -> list[Record]:
    """*count* records of a kind, each with values of its own."""
    make, makes = Maker(seed), _MAKES[kind]
    return [makes[number % len(makes)](make, make.draw.randrange(10**6)) for number in range(count)]
