"""A steady stream of realistic events into a spool: ``python -m bench._stream <folder> <per second> <seconds>``.

Tokens and addresses are drawn by Zipf's law, as clients' are: few do much, many do little. Outcomes are those of a
service that is used, not attacked: most are successes, some tokens have run out, health checks have none.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bearerwatch.event import FAILURES, AuthEvent, Kind, Outcome
from bearerwatch.observe import new_id
from bearerwatch.sinks.spool import SpoolSink

__all__ = ["write"]

_SERVICES = ("orders", "accounts", "search")
_CLIENTS = 5_000
_BATCH = 0.01
"""Seconds between two bursts."""
_OUTCOMES: tuple[tuple[Outcome, int, str | None, float], ...] = (
    (Outcome.SUCCESS, 200, None, 0.915),
    (Outcome.ANONYMOUS, 200, None, 0.04),
    (Outcome.EXPIRED, 401, "past_exp", 0.015),
    (Outcome.MISSING, 401, None, 0.01),
    (Outcome.FORBIDDEN, 403, None, 0.008),
    (Outcome.INVALID, 401, None, 0.004),
    (Outcome.INSUFFICIENT_SCOPE, 403, None, 0.004),
    (Outcome.MALFORMED, 401, "bad_characters", 0.002),
    (Outcome.ERROR, 500, "exception", 0.002),
)
_ROUTES = (
    ("GET", "/orders"),
    ("GET", "/orders/{id}"),
    ("POST", "/orders"),
    ("GET", "/accounts/{id}"),
    ("GET", "/accounts/{id}/statements"),
    ("GET", "/search"),
    ("PUT", "/orders/{id}"),
)
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    "okhttp/4.12.0",
    "python-httpx/0.28.1",
    "shop-client/4.2",
)


class _Client(NamedTuple):
    token_id: str
    presented_id: str
    subject_id: str
    address: str
    agent: str


def _clients(draw: random.Random) -> list[_Client]:
    def fingerprint() -> str:
        return f"k1a2b3c4d:{draw.getrandbits(128):032x}"

    return [
        _Client(
            fingerprint(),
            fingerprint(),
            f"sub:{fingerprint()}",
            f"{draw.choice((81, 93, 151, 203))}.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(1, 255)}",
            draw.choice(_AGENTS),
        )
        for _ in range(_CLIENTS)
    ]


class _Source:
    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._clients = _clients(self._draw)
        self._ranks = list(itertools.accumulate(1 / rank for rank in range(1, _CLIENTS + 1)))
        self._odds = list(itertools.accumulate(odd for *_, odd in _OUTCOMES))

    def event(self, service: str) -> AuthEvent:
        draw, now = self._draw, time.time()
        outcome, status, reason, _ = draw.choices(_OUTCOMES, cum_weights=self._odds)[0]
        if outcome in FAILURES:  # what goes wrong goes wrong anywhere; a client with most of it would be an attack
            client = draw.choice(self._clients)
        else:
            client = draw.choices(self._clients, cum_weights=self._ranks)[0]
        method, route = draw.choice(_ROUTES)
        request_id = new_id(int(now * 1000))
        named = outcome not in (Outcome.ANONYMOUS, Outcome.MISSING)
        return AuthEvent(
            kind=Kind.AUTH,
            event_id=request_id,
            ts=datetime.fromtimestamp(now, UTC),
            outcome=outcome,
            reason=reason,
            verified=outcome is Outcome.SUCCESS,
            status=status,
            duration_us=int(draw.lognormvariate(9, 0.8)),
            service=service,
            instance="host-4711",
            method=method,
            route=route,
            path=route.replace("{id}", str(draw.randrange(100_000))),
            token_id=client.token_id if named else None,
            presented_id=client.presented_id if named else None,
            scheme="bearer" if named else None,
            token_kind="jwt" if named else None,
            token_source="header" if named else None,
            subject_id=client.subject_id if named else None,
            client_id="shop" if named else None,
            issuer="https://issuer.example" if named else None,
            scopes="orders:read orders:write" if named else None,
            expires_at=int(now) + 3600 if named else None,
            client_ip=client.address,
            peer_ip="10.0.0.7",
            user_agent=client.agent,
            request_id=request_id,
        )


def write(folder: Path, rate: int, seconds: float, seed: int = 7) -> dict[str, float]:
    """Write *rate* events a second for *seconds*; says how many there were and how late the pacing ever was."""
    sinks = [(service, SpoolSink(folder / service)) for service in _SERVICES]
    source = _Source(seed)
    began = time.monotonic()
    written, late = 0, 0.0
    try:
        while (passed := time.monotonic() - began) < seconds:
            due = int(passed * rate)
            late = max(late, (due - written) / rate - _BATCH)
            for number in range(written, due):
                service, sink = sinks[number % len(sinks)]
                sink.send(source.event(service))
            written = due
            time.sleep(max(0.0, _BATCH - (time.monotonic() - began - passed)))
        return {"written": written, "seconds": time.monotonic() - began, "late": late}
    finally:
        for _, sink in sinks:
            sink.close()


if __name__ == "__main__":
    print(json.dumps(write(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
