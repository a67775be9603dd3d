"""Microseconds to ask whether a token is withdrawn, by its fingerprint."""

from __future__ import annotations

import random
from collections.abc import Iterator
from statistics import median
from time import process_time_ns

from bench._rows import Measured, Row

IDS = ("revocations.lookup-10", "revocations.lookup-100000")
METHOD = """\
`token_id in revocations` for 1,000 fingerprints that take turns, half of them withdrawn, in a list of 10 and of 100,000
entries: the median, over many turns, of the processor time of each with the loop around it. The peer is the same of a
bare `set`, which forgets nothing in time and is not kept fresh."""

_LIMIT = 2.0
_ASKED = 1_000


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    from bearerwatch.verify.revocations import Revocations  # noqa: PLC0415 - not for --list

    turns = 50 if quick else 500
    draw = random.Random(1)
    for name in ids:
        size = int(name.rpartition("-")[2])
        entries = [f"k00000000:{draw.getrandbits(128):032x}" for _ in range(size)]
        revocations = Revocations()
        revocations.revoke(*entries)
        some = draw.choices(entries, k=_ASKED // 2)
        asked = [*some, *(f"k00000000:{draw.getrandbits(128):032x}" for _ in range(_ASKED - len(some)))]
        draw.shuffle(asked)
        bare = set(entries)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(turns):
            ours.append(_once(revocations, asked))
            theirs.append(_once(bare, asked))
        row = Row(
            id=name,
            unit="µs",
            ours=round(median(ours), 3),
            peers={"a bare set": round(median(theirs), 3)},
            limit=_LIMIT,
        )
        yield Measured(row=row, how=f"{turns} turns of {_ASKED:,} lookups; ours {min(ours):.2f} to {max(ours):.2f} µs")


def _once(held: object, asked: list[str]) -> float:
    began = process_time_ns()
    for one in asked:
        one in held  # type: ignore[operator] # noqa: B015 - it is what is measured
    return (process_time_ns() - began) / 1000 / len(asked)
