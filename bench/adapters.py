"""Microseconds that knowing a library adds to a request, over the middleware alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench._rows import Measured, Row

SITES = Path(__file__).parents[1] / "tests" / "libraries" / "sites"
IDS = tuple(
    f"adapters.{path.stem}"
    for path in sorted(SITES.glob("[a-z]*.py"))
    if "\ndef stacks(" in path.read_text(encoding="utf-8") and not path.stem.startswith("verify_")
)
METHOD = """\
The application of each library that the conformance tests play, in a process of its own, through its WSGI or ASGI
callable. A hundred requests with a good token are served with the adapter and a hundred without it, in turns, the
middleware there both times; the figure is the difference between the medians of the quietest turns. The notes say the
same of an expired token: where a library hides why it refused, it is asked once more, which costs about what it had
cost. A/A is the same without it twice."""

_LIMIT = 5.0


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure the libraries named by *ids*."""
    rounds = 300 if quick else 3_000
    for name in ids:
        with tempfile.TemporaryDirectory(prefix="bearerwatch-bench-") as folder:
            yield _measured(name, rounds, folder)


def _measured(name: str, rounds: int, folder: str) -> Measured:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEARERWATCH_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench._adapters_worker", name.removeprefix("adapters."), str(rounds)],
        env={
            **kept,
            "BEARERWATCH_STATE": folder,
            "BEARERWATCH_KEYS": "a key of this benchmark alone".replace(" ", "-"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    row = Row(id=name, unit="µs", ours=round(told["success"]["added"], 1), peers={}, limit=_LIMIT)
    how = (
        f"{rounds} requests each way; the request without it {told['success']['without']:.0f} µs; "
        f"A/A {told['success']['noise']:+.1f} µs; "
        f"with an expired token {told['expired']['added']:+.1f} µs of {told['expired']['without']:.0f} µs"
    )
    return Measured(row=row, how=how)
