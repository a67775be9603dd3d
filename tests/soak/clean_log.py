"""A log without a single token that looks like the real thing, as long as one likes; and a run of redaction over it.

Run as ``python -m soak.clean_log stream|file MEGABYTES SEED [FOLDER]``, in a process of its own, whose memory is
measured; says what it found as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import resource
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import starmap
from pathlib import Path
from typing import Any

from bearerwatch.leaks import Sweep
from bearerwatch.leaks.filter import Filter
from bearerwatch.leaks.sources import sources
from redact.corpus.lookalikes import lookalikes

__all__ = ["chunks"]

_POOL = 997
_EACH = 40
"""Lines of one kind that are made together."""
_NAMES = [
    "orders",
    "users",
    "sessions",
    "tokens",
    "keys",
    "invoices",
    "carts",
    "reports",
    "secrets-policy",
    "password-policies",
    "items",
]
_WORDS = [
    "created",
    "updated",
    "refreshed",
    "expired",
    "validated",
    "rejected",
    "rotated",
    "loaded",
    "missing",
    "cached",
    "issued",
    "revoked",
]
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "okhttp/4.12.0",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "kube-probe/1.29",
)
_TEMPLATES = (
    '{ip} - - [{clf}] "GET /api/v1/{name}/{n}?page={n}&size=25 HTTP/1.1" 200 {n} "-" "{agent}"',
    '{ip} - {user} [{clf}] "POST /{name}/{uuid} HTTP/2.0" 201 {n} "https://app.example.com/{name}" "{agent}" rt=0.0{n} uct="0.001"',
    '{ip} - - [{clf}] "GET /static/js/{name}.{h8}.chunk.js HTTP/1.1" 304 0 "https://app.example.com/" "{agent}"',
    'INFO:     {ip}:{n} - "GET /{name}/{n} HTTP/1.1" 200 OK',
    "[{space} +0000] [{n}] [INFO] Worker exiting (pid: {n})",
    '[{clf}] "GET /admin/{name}/{n}/change/ HTTP/1.1" 302 0',
    "{space},123 INFO app.{name} {user}: token {word}, {n} left, request {uuid}",
    "{space},124 WARNING django.request Unauthorized: /api/v1/{name}/{n}",
    '{space},125 DEBUG django.db.backends (0.00{n}) SELECT "auth_token"."key", "auth_token"."user_id" FROM "auth_token" WHERE "auth_token"."user_id" = {n} LIMIT 21; args=({n},); alias=default',
    '{{"time":"{iso}","level":"info","msg":"session {word}","request_id":"{uuid}","user_id":{n},"duration_ms":{n},"trace_id":"{h32}","span_id":"{h16}"}}',
    '{{"timestamp": "{iso}", "severity": "WARN", "logger": "auth.jwt", "message": "token {word} for user {n}", "kid": "{h40}", "sub": "{uuid}", "exp": 17900{n}}}',
    'time={iso} level=info msg="token {word}" request_id={uuid} status=401 duration=12.{n}ms bytes={n} trace_id={h32}',
    "{syslog} web1 app[{n}]: {user} {word} secret {name}, version {n}",
    "{syslog} web1 sshd[{n}]: Accepted publickey for {user} from {ip} port {n} ssh2: ED25519 SHA256:{b43}",
    "{syslog} web1 systemd[1]: Started Session {n} of User {user}.",
    "{space} ERROR [http-nio-8080-exec-{n}] c.e.auth.TokenService : password {word} for {user}\tat com.example.auth.TokenService.verifyToken(TokenService.java:{n})",
    "\tat org.springframework.security.oauth2.jwt.NimbusJwtDecoder.decode(NimbusJwtDecoder.java:{n})",
    '  File "/srv/app/auth/{name}.py", line {n}, in {word}_token',
    "{iso} stdout F {h12}: Pull complete digest: sha256:{h64} for registry.example.com/auth/token-service:3.{n}.1",
    "commit {h40} merged into main by {user}@example.com: bearer token docs {word}",
    'traceparent: 00-{h32}-{h16}-01 etag="{h32}" x-request-id: {uuid} age: {n}',
    "{space} UTC [{n}] LOG:  duration: {n}.{n} ms  statement: UPDATE {name} SET password_changed_at = now() WHERE id = {n}",
    "consumer-{n} partition={n} offset=18{n} key=orders.{word}.v2 token-bucket rate={n}/s",
    "audit: user={user} ip={ip} action={name}.{word} result=ok id={uuid} \u2713 Z\u00fcrich",
    "GET https://cdn.example.com/img/{h40}.webp 200 {n} cache=HIT data:image/png;base64,{b43}{b43}",
)  # fmt: skip
_TOKEN = "first token=q7" + "Zk4Wv9Xr2T" * 3
"""One that is found, so that the file has to be written anew; made up of nothing."""


def _base64(rng: random.Random) -> list[str]:
    return [base64.b64encode(rng.randbytes(32)).decode()[:43] for _ in range(_POOL)]


def _pools(rng: random.Random) -> dict[str, list[str]]:
    times = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=rng.random() * 1e6) for _ in range(_POOL)]
    pools = {f"h{size}": [rng.randbytes(size // 2).hex() for _ in range(_POOL)] for size in (8, 12, 16, 32, 40, 64)}
    return pools | {
        "ip": [".".join(str(byte) for byte in rng.randbytes(4)) for _ in range(_POOL)],
        "uuid": [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(_POOL)],
        "b43": _base64(rng),
        "n": [str(rng.randrange(10 ** rng.randrange(1, 6))) for _ in range(_POOL)],
        "clf": [one.strftime("%d/%b/%Y:%H:%M:%S +0000") for one in times],
        "space": [one.strftime("%Y-%m-%d %H:%M:%S") for one in times],
        "iso": [one.isoformat() for one in times],
        "syslog": [one.strftime("%b %e %H:%M:%S") for one in times],
        "name": _NAMES,
        "word": _WORDS,
        "agent": list(_AGENTS),
        "user": ["ada", "grace", "svc-orders", "ci", "root", "alan.turing"],
    }


def _makers(pools: dict[str, list[str]], rng: random.Random) -> Iterator[Callable[[], list[str]]]:
    for template in _TEMPLATES:
        fields = [part.partition("}")[0] for part in template.replace("{{", "").split("{")[1:]]
        places = template
        for field in dict.fromkeys(fields):
            places = places.replace("{" + field + "}", "{}")

        def made(write: Callable[..., str] = places.format, from_: tuple[str, ...] = tuple(fields)) -> list[str]:
            return list(starmap(write, zip(*(rng.choices(pools[field], k=_EACH) for field in from_), strict=True)))

        yield made
    alike = [line.replace("\n", "\\n") for line in lookalikes(rng.randrange(10**6))]
    yield lambda: rng.choices(alike, k=_EACH)


def chunks(seed: int, size: int) -> Iterator[bytes]:
    """Whole lines, some 256 KB at a time and *size* bytes or a little more in all."""
    rng = random.Random(seed)
    pools = _pools(rng)
    makers = list(_makers(pools, rng))
    while size > 0:
        pools["b43"] = _base64(rng)  # in which, sooner or later, anything can be read
        lines = [line for _ in range(50) for line in rng.choice(makers)()]
        rng.shuffle(lines)
        chunk = ("\n".join(lines) + "\n").encode()
        size -= len(chunk)
        yield chunk


class _Compared:
    """Gives what is read and takes what is written, which has to be the same."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._unread = b""
        self._due = b""
        self.changed: list[str] = []
        self.size = 0

    def read(self, view: memoryview) -> int:
        self._unread = self._unread or next(self._source, b"")
        given, self._unread = self._unread[: len(view)], self._unread[len(view) :]
        view[: len(given)] = given
        self._due += given
        return len(given)

    def write(self, data: bytes) -> None:
        due, self._due = self._due[: len(data)], self._due[len(data) :]
        self.size += len(data)
        if due != data:
            pairs = zip(due.splitlines(), data.splitlines(), strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), (due[-200:], data[-200:]))
            raise SystemExit(f"changed: {first}")


def _stream(seed: int, size: int) -> dict[str, Any]:
    compared = _Compared(chunks(seed, size))
    Filter(compared.write)(compared.read)
    return {"bytes": compared.size, "same": compared.size >= size}


def _file(seed: int, size: int, folder: Path) -> dict[str, Any]:
    path, before, after = folder / "app.log", hashlib.sha256(), hashlib.sha256()
    with path.open("wb") as file:
        file.write(f"{_TOKEN}\n".encode())
        for chunk in chunks(seed, size):
            before.update(chunk)
            file.write(chunk)
    problems: list[tuple[str, str]] = []
    sweep = Sweep(redact=True, problem=lambda *told: problems.append(told))
    leaks = [leak for source in sources([str(path)], lambda *told: problems.append(told)) for leak in sweep(source)]
    with path.open("rb") as file:
        first = file.readline()
        while chunk := file.read(1 << 20):
            after.update(chunk)
    return {
        "bytes": path.stat().st_size,
        "same": before.digest() == after.digest() and first.startswith(b"first token=[token ") and not problems,
        "where": [leak.line for leak in leaks],
    }


def _peak() -> int:
    """The most memory this process has had, in bytes; getrusage(2) counts the process that started it as well."""
    with suppress(OSError):
        return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)


def main(way: str, megabytes: str, seed: str, folder: str = "") -> None:
    """One run over a log of that size."""
    size, began = int(megabytes) << 20, time.monotonic()
    told = _stream(int(seed), size) if way == "stream" else _file(int(seed), size, Path(folder))
    told |= {"seconds": round(time.monotonic() - began, 1)}
    told |= {"peak_mb": _peak() >> 20}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
