"""Microseconds of processor time that redaction adds to a log record, beside its peers."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from bench._process import answering, ask
from bench._redact_records import CLEAN, LEAK, TRICKY
from bench._redact_worker import BARE, OURS, PEERS, PURE, VARIANTS
from bench._rows import Measured, Row

__all__ = ["IDS", "LIMITS", "measure"]

LIMITS = {
    f"redact.record.{kind}{suffix}": limit
    for suffix, limits in (("", (2.0, 3.0, 45.0)), (".pure", (4.0, 9.0, 45.0)))
    for kind, limit in zip((CLEAN, TRICKY, LEAK), limits, strict=True)
}
IDS = tuple(LIMITS)
_CHUNKS = 5
"""Chunks of a slice, which is what one variant does before it is the next one's turn."""
_SIZE = 60
"""Records of a chunk: ten of each message."""
_CHECKED = 120

_Added = dict[str, dict[str, list[float]]]
"""Microseconds a record, by kind and variant; one for each repetition."""


def measure(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    repeats, slices = (1, 6) if quick else (3, 40)
    kinds = [kind for kind in (CLEAN, TRICKY, LEAK) if any(name.split(".")[2] == kind for name in ids)]
    added: _Added = {kind: {variant: [] for variant in VARIANTS} for kind in kinds}
    bare: list[float] = []
    checked: dict[str, dict[str, dict[str, int]]] = {kind: {} for kind in kinds}
    for _ in range(repeats):
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bearerwatch-bench-"))
            workers = {
                variant: stack.enter_context(
                    answering(variant, [sys.executable, "-m", "bench._redact_worker", variant], _environment(folder))
                )
                for variant in VARIANTS
            }
            times: dict[tuple[str, str, str], list[int]] = {}
            for number in range(1, slices + 1):
                turn = list(workers.items())
                for variant, worker in turn[number % len(turn) :] + turn[: number % len(turn)]:
                    for kind in kinds:
                        for side, taken in ask(worker, f"time {_CHUNKS} {_SIZE} {kind} {number}").items():
                            times.setdefault((kind, variant, side), []).extend(taken)
            for kind in kinds:
                for variant, worker in workers.items():
                    without, watched = (median(times[kind, variant, side]) for side in ("bare", "watched"))
                    added[kind][variant].append((watched - without) / _SIZE / 1000)
                    bare.append(without / _SIZE / 1000)
                    checked[kind][variant] = ask(worker, f"check {_CHECKED} {kind} 0")
    for name in ids:
        kind, ours = name.split(".")[2], PURE if name.endswith(".pure") else OURS
        _sound(kind, ours, checked[kind][ours])
        figures = added[kind]
        noise, spread = median(figures[BARE]), figures[ours]
        how = (
            f"bare {median(bare):.1f} µs; {repeats} x {slices} rounds of {_CHUNKS * _SIZE} records; "
            f"A/A {noise:+.2f} µs; repetitions of ours {min(spread):.2f} to {max(spread):.2f} µs; "
            f"{_told(kind, ours, checked[kind])}"
        )
        peers = {peer: round(median(figures[peer]), 2) for peer in PEERS}
        row = Row(id=name, unit="µs", ours=round(median(spread), 2), peers=peers, limit=LIMITS[name])
        yield Measured(row=row, how=how)


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEARERWATCH_")}
    return {
        **kept,
        "BEARERWATCH_STATE": folder,
        "BEARERWATCH_KEYS": secrets.token_hex(32),
        "BEARERWATCH_SERVICE": "bench",
        "PYTHONHASHSEED": "0",
    }


def _sound(kind: str, ours: str, found: dict[str, int]) -> None:
    """Fail unless ours did what is measured: whatever lets tokens through is quick."""
    wrong = found["leaked"] if kind == LEAK else found["changed"]
    if wrong:
        what = "leaked their token" if kind == LEAK else "were changed though they hold none"
        raise RuntimeError(f"{wrong} of {_CHECKED} records {what} with {ours}: a figure for that is worth nothing")


def _told(kind: str, ours: str, found: dict[str, dict[str, int]]) -> str:
    """What each did with the records of a kind."""
    if kind == LEAK:
        caught = ", ".join(f"{name} {_CHECKED - found[name]['leaked']}" for name in (ours, *PEERS))
        return f"of {_CHECKED} tokens caught: {caught}"
    changed = ", ".join(f"{name} {found[name]['changed']}" for name in (ours, *PEERS))
    return f"of {_CHECKED} records changed, which hold no secret: {changed}"
