"""Withdrawn tokens are refused before the application sees them, where the settings name a list of them.

The list stands between the middleware and the application, so that where none is named nothing is asked at all. The
answer is the one that :mod:`bearerwatch.verify` gives: 401, ``invalid_token`` (RFC 6750 §3.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from bearerwatch import _guard
from bearerwatch.context import Decision
from bearerwatch.event import Outcome
from bearerwatch.fingerprint import ring
from bearerwatch.observe import Exchange, Watch
from bearerwatch.verify.answers import PROBLEM, Answer, Challenges
from bearerwatch.verify.revocations import Revocations
from bearerwatch.verify.revocations._source import where
from bearerwatch.verify.verdict import Verdict

__all__ = ["Withdrawn", "asgi", "wsgi"]

_IDS_KEPT = 2
"""Keys whose fingerprints of a token an exchange has."""


class Withdrawn:
    """Whose tokens are refused.

    Args:
        revocations: the list.
    """

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations
        self._further_keys = len(ring().key_ids) > _IDS_KEPT
        self.answer: Answer = Challenges()(Verdict(outcome=Outcome.REVOKED))
        """What is answered then."""
        self.body = self.answer.body
        self.headers = [
            ("Content-Type", PROBLEM),
            ("Content-Length", str(len(self.body))),
            *self.answer.headers,
        ]

    @classmethod
    def of(cls, watch: Watch) -> Withdrawn:
        """By the list that the settings of this process name.

        Raises:
            ConfigurationError: there is no such place.
        """
        return cls(_revocations(watch.settings.revocations, watch.settings.state_dir))

    def __call__(self, exchange: Exchange | None) -> bool:
        """Whether the request of *exchange* comes with a withdrawn token; its event will say so."""
        if exchange is None or (not exchange.holds and not exchange.presented):
            return False
        try:
            found = self._found(exchange)
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed("looking for withdrawn tokens", error)
            return False
        if found:
            token_id, _, presented_id = exchange.ids
            # Of a JWT the signature is in no fingerprint: whoever has seen one can make another that looks like it.
            exchange.decide(Decision(Outcome.REVOKED, reason="blacklisted", verified=token_id == presented_id))
        return found

    async def later(self, exchange: Exchange | None) -> bool:
        """As calling it, for coroutines: a process's first list is waited for in a thread."""
        if not self._revocations.ready and exchange is not None and (exchange.presented or exchange.holds):
            await asyncio.to_thread(self._revocations.start)
        return self(exchange)

    def _found(self, exchange: Exchange) -> bool:
        revocations = self._revocations
        if any(token_id in revocations for token_id in exchange.ids):
            return True
        tokens = exchange.tokens
        # one token alone, under the keys there are: its fingerprints are known already
        return (len(tokens) > 1 or self._further_keys) and any(map(revocations.holds, tokens))


@lru_cache
def _revocations(url: str, folder: Path) -> Revocations:
    """One list a process, however many applications it has; kept in *folder* for a start while its source is lost."""
    if url.lower().startswith("file:"):
        return Revocations(url)
    name = blake2b(where(url).encode(), digest_size=8).hexdigest()  # of no password: that is left out there
    return Revocations(url, snapshot=folder / f"revoked-{name}.jsonl")


Environ = dict[str, Any]
WsgiApp = Callable[..., Iterable[bytes]]


def wsgi(app: WsgiApp, watch: Watch) -> WsgiApp:
    """*app* behind what refuses withdrawn tokens (PEP 3333)."""
    withdrawn = Withdrawn.of(watch)

    def refusing(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not withdrawn(environ.get("bearerwatch.exchange")):
            return app(environ, start_response)
        start_response("401 Unauthorized", list(withdrawn.headers))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [withdrawn.body]

    return refusing


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def asgi(app: AsgiApp, watch: Watch) -> AsgiApp:
    """*app* behind what refuses withdrawn tokens.

    A websocket is refused before it is accepted: with the answer where the server can send one
    (https://asgi.readthedocs.io/en/latest/extensions.html), else with 403, as servers do.
    """
    withdrawn = Withdrawn.of(watch)
    headers = [(name.lower().encode(), value.encode()) for name, value in withdrawn.headers]

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or not await withdrawn.later(scope.get("bearerwatch")):
            await app(scope, receive, send)
            return
        kind = "http.response"
        if scope["type"] == "websocket":
            await receive()  # that somebody would connect
            if "websocket.http.response" not in (scope.get("extensions") or {}):
                await send({"type": "websocket.close", "code": 1008})
                return
            kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": withdrawn.answer.status, "headers": list(headers)})
        body = b"" if scope.get("method") == "HEAD" else withdrawn.body
        await send({"type": f"{kind}.body", "body": body})

    return refusing
