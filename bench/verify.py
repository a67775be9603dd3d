"""Microseconds to verify an access token, beside the libraries that do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from bench._rows import Measured, Row

IDS = ("verify.es256", "verify.guard", "verify.rs256")
METHOD = """\
Access tokens as RFC 9068 has them, 200 different ones that take turns, so that no verdict is remembered, with one key
of 2048 bits (RS256) or on P-256 (ES256). bearerwatch is a `JwtVerifier` with all of its checks; joserfc is
`jwt.decode` and a `JWTClaimsRegistry` that checks `iss`, `aud`, `exp`, `iat`, `sub`, `jti` and `client_id`; PyJWT and
Authlib are told the same as far as they can be. None of the peers checks `typ`. Each has its key parsed beforehand.
They take turns of 200 tokens, and the figure is the median of the process's processor time. The run ends at once if
one of them lets in a token that was changed, has expired or is for another audience. `verify.guard` is a request as a
door hands it on: its headers are read, the token verified (RS256), its fingerprint looked for among 10,000 that are
revoked, a scope asked for, and the event told. The limits are 1.15 times joserfc's figure."""

_OURS = "bearerwatch"
_OVER_JOSERFC = 1.15


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    rounds = 7 if quick else 61
    for name in ids:
        alg = "ES256" if name == "verify.es256" else "RS256"
        command = [sys.executable, "-m", "bench._verify_worker", alg, str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        spent: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
        peers = {way: round(median(times), 1) for way, times in spent.items()}
        guard, verifier = peers.pop("guard"), peers.pop(_OURS)
        whole = name == "verify.guard"
        times = spent["guard" if whole else _OURS]
        row = Row(
            id=name,
            unit="µs",
            ours=guard if whole else verifier,
            peers={"the verifier alone": verifier} if whole else peers,
            limit=None if whole else round(_OVER_JOSERFC * peers["joserfc"], 1),
        )
        yield Measured(row=row, how=f"{rounds} turns of 200 tokens each; ours {min(times):.1f} to {max(times):.1f} µs")
