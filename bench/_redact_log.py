"""A log as an API leaves it: access lines, JSON, SQL, tasks and tracebacks, of many clients.

A third of its lines speak of tokens, passwords and authorization without holding any; one in a thousand leaks one.
The same seed makes the same log. Its tokens are made up here, and none is written down anywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench._redact_made import Maker

__all__ = ["LEAKING", "TRIGGERING", "Log", "generate"]

TRIGGERING = 0.34
"""Of the lines, how many have a word that stands before secrets, and no secret."""
LEAKING = 0.001
_BLOCK = 4_000
"""Lines made at a time."""
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "okhttp/4.12.0",
    "python-httpx/0.28.1",
    "kube-probe/1.31",
)
_PATHS = (
    "/api/v2/orders/{n}",
    "/api/v2/customers/{n}/addresses",
    "/healthz",
    "/static/app.{h}.js",
    "/search?q=shoes&page={s}",
)
_METHODS = ("GET", "GET", "GET", "POST", "PUT")
_STATUSES = (200, 200, 200, 201, 304, 404, 500)
_TABLES = ("orders", "customers", "line_items", "shipments", "audit_entries")
_TASKS = ("shop.tasks.send_receipt", "shop.tasks.reindex", "billing.tasks.charge", "mail.tasks.deliver")
_FILES = ("views/orders.py", "services/billing.py", "db/session.py", "middleware/timing.py")


class Log(NamedTuple):
    """What was written."""

    bytes: int
    lines: int
    leaks: dict[int, str]
    """The secret of each line that leaks, by the number of the line, from 1."""


def _access(make: Maker) -> str:
    draw = make.draw
    path = draw.choice(_PATHS).format(n=draw.randrange(10**6), h=make.hex(8), s=draw.randrange(90))
    return (
        f"INFO uvicorn.access: 203.0.113.{draw.randrange(256)}:{draw.randrange(1024, 65536)} - "
        f'"{draw.choice(_METHODS)} {path} HTTP/1.1" {draw.choice(_STATUSES)} {draw.randrange(90_000)} '
        f'"https://shop.example.com/" "{draw.choice(_AGENTS)}" {draw.random():.3f}'
    )


def _json(make: Maker) -> str:
    draw = make.draw
    event = {
        "level": "info",
        "logger": draw.choice(("shop.orders", "shop.cart", "shop.stock")),
        "event": draw.choice(("order placed", "cart updated", "stock reserved", "price changed")),
        "order": draw.randrange(10**7),
        "customer": f"c-{draw.randrange(10**6)}",
        "total": round(draw.random() * 500, 2),
        "took_ms": draw.randrange(900),
        "request_id": make.hex(16),
    }
    return json.dumps(event)


def _sql(make: Maker) -> str:
    draw = make.draw
    table = draw.choice(_TABLES)
    return (
        f"DEBUG django.db.backends: ({draw.random():.3f}) SELECT {table}.id, {table}.created_at, {table}.status "
        f"FROM {table} WHERE {table}.id = {draw.randrange(10**7)} AND {table}.status IN ('open', 'paid') "
        f"ORDER BY {table}.created_at DESC LIMIT {draw.randrange(10, 100)}; "
        f"args=({draw.randrange(10**7)}, 'open', 'paid'); alias=default"
    )


def _task(make: Maker) -> str:
    draw = make.draw
    return (
        f"INFO celery.app.trace: Task {draw.choice(_TASKS)}[{make.uuid()}] succeeded in {draw.random() * 9:.6f}s: "
        f"{{'sent': {draw.randrange(90)}, 'skipped': {draw.randrange(9)}, 'queue': 'default', 'retries': 0}}"
    )


def _trace(make: Maker) -> str:
    draw = make.draw
    return (
        f'ERROR shop.errors:   File "/srv/shop/{draw.choice(_FILES)}", line {draw.randrange(900)}, in handle: '
        f"ValueError: order {draw.randrange(10**7)} cannot be shipped to warehouse {draw.randrange(40)}: "
        f"{draw.randrange(90)} of {draw.randrange(90)} items are in stock, span {make.hex(16)} of trace {make.hex(32)}"
    )


_CLEAN: tuple[Callable[[Maker], str], ...] = (_access, _access, _access, _json, _json, _sql, _task, _trace)


def _triggers(make: Maker) -> str:
    draw = make.draw
    user, address, took = draw.randrange(10**6), f"198.51.100.{draw.randrange(256)}", draw.randrange(900)
    kind = draw.randrange(10)
    if kind == 0:
        return (
            f'INFO uvicorn.access: {address}:{draw.randrange(1024, 65536)} - "POST /oauth/token HTTP/1.1" 200 '
            f'{draw.randrange(2000)} "-" "{draw.choice(_AGENTS)}" {draw.random():.3f}'
        )
    if kind == 1:
        return (
            f"WARNING auth.bearer: Bearer authentication failed for client {address}: token expired {took} s ago, "
            f"the scheme was Bearer and the realm is orders; the caller was told invalid_token, span {make.hex(16)}"
        )
    if kind == 2:
        return (
            f"INFO auth.tokens: token refreshed for user {user} from {address} in {took} ms: "
            f"token_type=Bearer expires_in=3600 scope=orders:read grant_type=refresh_token client_id=shop-web"
        )
    if kind == 3:
        return (
            f"INFO auth.passwords: password reset requested for user {user} from {address}, mail queued as message "
            f"{draw.randrange(10**7)}; the password policy is satisfied and the secret question was skipped"
        )
    if kind == 4:
        return json.dumps(
            {
                "level": "warning",
                "logger": "auth.http",
                "event": "authorization header missing",
                "path": f"/api/v2/orders/{draw.randrange(10**6)}",
                "auth": "none",
                "token_present": False,
                "client": address,
                "request_id": make.hex(16),
                "key_id": f"k-{draw.randrange(90)}",
            }
        )
    if kind == 5:
        return (
            f"DEBUG auth.jwt: verified the JWT of user {user}: alg=RS256, kid=2026-11, signature valid, session "
            f"age {took} s, {draw.randrange(9)} scopes; authorization granted for {draw.choice(_TABLES)}"
        )
    if kind == 6:
        return (
            f"INFO auth.sessions: session of user {user} closed after {took} requests; session store holds "
            f"{draw.randrange(10**5)} sessions, {draw.randrange(900)} with a second factor, none without a "
            "password hash"
        )
    if kind == 7:
        return (
            f"WARNING django.security.csrf: Forbidden (CSRF token missing or incorrect.): /checkout/{user} "
            f'from {address} "{draw.choice(_AGENTS)}"'
        )
    if kind == 8:
        return (
            f"INFO keys.rotation: signing key 2026-{draw.randrange(1, 13):02d} published, {draw.randrange(9)} keys in "
            f"the set; tokens signed with the key before stay valid for {took} s, token cache has {user} entries"
        )
    return (
        f"INFO llm.usage: model=small prompt_tokens={draw.randrange(4000)} completion_tokens={draw.randrange(900)} "
        f"total_tokens={draw.randrange(4900)} max_tokens=1024 took={took} ms user={user} route=/v1/chat cached=false"
    )


def _leaks(make: Maker) -> tuple[str, str]:
    """A line and the secret in it."""
    user, kind = make.draw.randrange(10**6), make.draw.randrange(7)
    if kind == 0:
        secret = make.jwt()
        line = f"DEBUG http.client: send: GET /api/v2/orders/{user} headers={{'Authorization': 'Bearer {secret}'}}"
    elif kind == 1:
        secret = make.jwt()
        line = f"WARNING auth.jwt: cannot verify {secret} of user {user}: signature does not match"
    elif kind == 2:
        secret = make.text(40)
        line = f'INFO uvicorn.access: 203.0.113.9:4711 - "GET /api/v2/export?access_token={secret}&n={user}" 200'
    elif kind == 3:
        secret = make.text(32)
        line = json.dumps({"level": "debug", "event": "token response", "access_token": secret, "user": user})
    elif kind == 4:
        secret = make.text(43)
        line = f"ERROR billing.client: request failed: Authorization: Token {secret} was rejected for user {user}"
    elif kind == 5:
        secret = make.text(20)
        line = f"DEBUG db.session: connecting to postgresql://shop:{secret}@db.example.com:5432/shop for user {user}"
    else:
        secret = make.text(36)
        line = f"INFO settings: loaded api_key={secret} region=eu-west-1 tenant={user}"
    return line, secret


def _moment(thousandths: int) -> str:
    """A moment in the first days of the log (RFC 3339)."""
    seconds, rest = divmod(thousandths, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"2026-11-{1 + day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{rest:03d}Z"


def generate(path: Path, size: int, seed: int = 20_261_122) -> Log:
    """Write *size* bytes to *path*, and some lines more."""
    make = Maker(seed)
    draw = make.draw
    leaks: dict[int, str] = {}
    written = number = clock = 0
    with path.open("wb") as out:
        while written < size:
            block = []
            for _ in range(_BLOCK):
                number += 1
                clock += draw.randrange(60)
                chance = draw.random()
                if chance < LEAKING:
                    body, leaks[number] = _leaks(make)
                elif chance < LEAKING + TRIGGERING:
                    body = _triggers(make)
                else:
                    body = draw.choice(_CLEAN)(make)
                block.append(f"{_moment(clock)} web-{draw.randrange(6)} {body}\n")
            data = "".join(block).encode()
            out.write(data)
            written += len(data)
    return Log(written, number, leaks)
