"""Clean lines that must come out as they went in.

What may stay, where one may argue: a CSP nonce (it stands in the page itself and is good for one answer), an
``Idempotency-Key``, ``jti``, ``kid``, ``client_id`` and ``code_challenge`` (identifiers, made to be shown), publishable
keys, public keys and certificates, fingerprints of keys, masked secrets, references to secrets (paths, ARNs, names of
variables). Hashes of passwords, CSRF tokens and cursors of pages stand on neither side.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from .lookalikes_guards import GUARDS
from .lookalikes_words import DATA, MASKED, PROSE, TRAFFIC
from .values import Mint

__all__ = ["classed", "lookalikes"]

_FIELD = re.compile(r"\{(?:[a-zA-Z]\d+|uuid)\}")
_TIMES = 3

_HASHES: dict[str, str] = {
    "git": "commit {h40} merged into main",
    "git-short": "HEAD is now at {h7} Fix token refresh",
    "git-range": "{h7}..{h7}  main -> origin/main",
    "index": "index {h10}..{h10} 100644",
    "image": "registry.example.com/auth/token-service@sha256:{h64}",
    "container": "container {h64} started (auth)",
    "container-short": "CONTAINER ID {h12} token-service Up 3 minutes",
    "layer": "{h12}: Pull complete",
    "digest": "Digest: sha256:{h64}",
    "md5": "{h32}  secrets.tar.gz",
    "pip-hash": "    --hash=sha256:{h64} \\",
    "etag": 'ETag: "{h32}"',
    "etag-weak": 'If-None-Match: W/"{h8}-{h11}"',
    "sri": 'integrity="sha384-{b64}" crossorigin="anonymous"',
    "lockfile": '"integrity": "sha512-{b86}==",',
    "traceparent": "traceparent: 00-{h32}-{h16}-01",
    "trace-id": "trace_id={h32} span_id={h16} auth ok",
    "b3": "X-B3-TraceId: {h32}",
    "amzn-trace": "X-Amzn-Trace-Id: Root=1-{h8}-{h24}",
    "request-id": "X-Request-ID: {uuid}",
    "correlation": "correlation_id={uuid} token verified in 3 ms",
    "uuid": "user {uuid} logged in",
    "uuid-path": "GET /v1/tokens/{uuid} HTTP/1.1",
    "jti": "token revoked jti={uuid}",
    "kid": "signing key rotated kid={h40}",
    "kid-json": '{"alg": "RS256", "kid": "{w43}", "use": "sig"}',
    "client-id": "client_id={h32} grant_type=client_credentials",
    "client-id-google": "client_id={d12}-{x32}.apps.googleusercontent.com",
    "challenge": "code_challenge={w43}&code_challenge_method=S256",
    "idempotency": "Idempotency-Key: {uuid}",
    "csp": "Content-Security-Policy: script-src 'nonce-{b22}==' 'strict-dynamic'",
    "csp-hash": "script-src 'sha256-{b43}='",
    "websocket-key": "Sec-WebSocket-Accept: {b27}=",
    "fingerprint-ssh": "Accepted publickey for ci from 10.0.0.7 port 4711 ssh2: ED25519 SHA256:{b43}",
    "ssh-public": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b43} ci@host",
    "fingerprint-cert": "SHA1 Fingerprint={H2}:{H2}:{H2}:{H2}:{H2}:{H2}",
    "gpg": "gpg: using RSA key {H40}",
    "stripe-publishable": "Stripe('pk_live_{a24}')",
    "stripe-like": "task_live_{l20} started, disk_test_{l18} finished",
    "stripe-object": "payment pi_{a24} succeeded for cus_{a14}",
    "aws-arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-{a6}",
    "aws-request": "RequestId: {uuid} Duration: 12 ms",
    "chunk": "/static/js/auth-token.{h8}.chunk.js",
    "chunk-long": "GET /assets/token-{h20}.css 304",
    "cache-key": "cache key=views.decorators.cache.cache_header..{h32}.en-us.UTC",
    "primary-key": "primary_key={uuid} table=tokens",
    "object-id": "ObjectId('{h24}')",
    "ulid": "event 01J{u23} stored",
    "pod": "pod/token-service-{x10}-{x5} restarted",
    "message-id": "Message-ID: <{h16}.{h8}@mail.example.com>",
    "base32": "onion {x56}.onion",
    "address": "<TokenAuth object at 0x7f{h10}>",
    "memory": "segfault at {h12} ip {h16} sp {h16} error 4",
    "tx": "tx 0x{h64} mined, token transferred",
    "wallet": "ERC-20 token contract 0x{h40}",
    "isbn": "ISBN 978-3-{d2}-{d6}-1",
    "credit-note": "credit note CN-2026-{d8} token refund",
    "ipv6": "peer 2001:db8:{h4}:{h4}:{h4}:{h4}:{h4}:{h4} port 443",
    "mac": "link 02:{h2}:{h2}:{h2}:{h2}:{h2} up",
    "number": "order {d16} shipped",
    "epoch": "token iat=17{d8} exp=17{d8}",
    "ids": "token_id={d6} key_id={d5} secret_id={d4}",
    "session-number": "session={d5} user={d4} auth=ok",
    "png": "<img src='data:image/png;base64,iVBORw0KGgo{b160}=='>",
    "font": "url(data:font/woff2;base64,d09GMgABAAAAA{b120}=)",
    "jwk-public": '{"kty":"RSA","e":"AQAB","use":"sig","kid":"{w22}","n":"{w342}"}',
    "jwk-ec": '{"kty":"EC","crv":"P-256","x":"{w43}","y":"{w43}"}',
    "x5c": '"x5c":["MIIC{b300}"],"x5t":"{w27}"',
    "certificate": "-----BEGIN CERTIFICATE-----\nMIID{b60}\n{b64}\n{b64}\n-----END CERTIFICATE-----",
    "public-key": "-----BEGIN PUBLIC KEY-----\nMIIB{b60}\n{b64}\n-----END PUBLIC KEY-----",
    "redacted-own": "[token k{h8}:{h32}] accepted",
    "token-id-own": '"token_id":"k{h8}:{h32}"',
    "duckdb": "checkpoint of tokens.duckdb: block {d9}, checksum {h16}",
    "kernel": "audit: type=1400 audit(17{d8}.{d3}:{d4}): apparmor=ALLOWED",
    "ray": "cf-ray: {h16}-ZRH",
    "sentry-event": "event_id={h32} level=error",
    "otel-attr": "session.count={d3} auth.method=jwt trace={h32}",
    "dkim": "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=k1; bh={b43}=;",
    "build": "token-service 3.11.{d2}+g{h7} (build {d6})",
    "bearer-method": "auth=bearer sub={uuid} scope=read status=200",
}


def _base64_words(mint: Mint) -> Iterator[tuple[str, str]]:
    for words in (
        "hello world, this is plain text",
        "The quick brown fox jumps over the lazy dog",
        "nothing to see here",
    ):
        yield "base64-words", f"body: {base64.b64encode(words.encode()).decode()}"
        yield "base64-words", f"payload={base64.b64encode(words.encode()).decode()} size={mint.rng.randrange(99)}"
    plain = mint.part({"page": 2, "sort": "name", "size": 25})
    yield "base64-json", f"GET /v1/items?cursor={plain} HTTP/1.1"
    yield "base64-json", f"cursor {plain} of 4 pages"
    yield "base64-json", f"file {plain}.json.gz written"
    yield "base64-json", '{"header": "' + mint.part({"alg": "HS256", "typ": "JWT"}) + '"}'


def classed(seed: int = 1) -> Iterator[tuple[str, str]]:
    """Class and line of every look-alike of *seed*."""
    mint = Mint(seed)
    for name, template in _HASHES.items():
        for _ in range(_TIMES):
            yield name, _FIELD.sub(lambda field: mint.spec("", field[0]).text, template)
    yield from _base64_words(mint)
    for name, lines in (*PROSE.items(), *TRAFFIC.items(), *DATA.items(), *GUARDS.items()):
        for line in lines:
            yield name, line
    for mask in MASKED:
        for template in (
            "Authorization: Bearer §",
            "token=§ user=7",
            '{"password": "§"}',
            "x-api-key: §",
            "'secret': '§'",
        ):
            yield "masked", template.replace("§", mask)


def lookalikes(seed: int = 1) -> Iterator[str]:
    """Every look-alike of *seed*."""
    for _, line in classed(seed):
        yield line
