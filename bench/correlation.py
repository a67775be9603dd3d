"""Microseconds that one thread costs: a call to another service that says for which request, a log line likewise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from bench._correlation_worker import BY_HAND, CALLS, LINES, OTEL, OURS, REDACTED
from bench._rows import Measured, Row

IDS = (*(f"correlation.{name}" for name in CALLS), "correlation.line")
METHOD = """\
A call: each client asks a server in a process of its own, over a connection that stays open. Turns of 20 calls amid a
request alternate: with the client as it is, as bearerwatch has it, with the same two headers given by hand, and with a
span of OpenTelemetry's SDK around the call and its headers put in by hand, which is the least its instrumentations do.
The figures are processor time of the client's thread over the bare call, what the client takes to send two more headers
included: of all calls of a way the tenth that took least, for the machine's other work falls on the others. A line: one
handler that writes, one record with an argument, amid a request, over the same line without ids; redacted in both for
ours, and with the peers' filters on the handler for theirs."""

_LIMITS = {"correlation.line": 1.0}
_LIMIT = 10.0


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    rounds = 25 if quick else 150
    for name in ids:
        with tempfile.TemporaryDirectory(prefix="bearerwatch-bench-") as folder:
            yield _measured(name, rounds, folder)


def _measured(name: str, rounds: int, folder: str) -> Measured:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEARERWATCH_")}
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "bench._correlation_worker",
            name.removeprefix("correlation."),
            str(rounds),
        ],
        env={**kept, "BEARERWATCH_STATE": folder, "BEARERWATCH_KEYS": "a-key-of-this-benchmark-alone"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    added: dict[str, float] = told["added"]
    added[OURS] -= added.pop(REDACTED, 0.0)
    peers = {peer: round(added[peer], 2) for peer in (LINES if name == "correlation.line" else (BY_HAND, OTEL))}
    row = Row(id=name, unit="µs", ours=round(added[OURS], 2), peers=peers, limit=_LIMITS.get(name, _LIMIT))
    how = f"{rounds} turns each way; without it {told['bare']:.1f} µs; A/A {told['noise']:+.2f} µs"
    return Measured(row=row, how=how)
