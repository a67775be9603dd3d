"""Microseconds of processor time a middleware adds to a request, beside its peers and the floor."""

from __future__ import annotations

import importlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench._process import answering, ask
from bench._requests import FRESH, ODD, USUAL
from bench._rows import Measured, Row

IDS = ("middleware.django", "middleware.flask", "middleware.starlette")
METHOD = """\
Each variant runs in a process of its own that holds the bare application too. The two take turns in chunks of 50
requests, in process, through the WSGI or ASGI callable; what is added is the difference of the medians over all
chunks of the process's processor time (user and system, all threads: on an idle machine the wall clock says the same,
on a busy one it says more of the neighbours than of the code). The variants' processes take turns every 250 requests.
All of it is repeated with new processes, and the figure is the median of the repetitions. *A/A* in the notes is the
bare application against itself: what the method cannot tell from nothing.

Every request is a `GET` of a JSON document by one of 64 clients, each with its own JWT and address; half of the
requests are for 50 popular orders and half for any of 100,000. A token costs more the first time a process sees it,
for it is read and fingerprinted then; and a path that could hide a token, or a query, is looked through. The notes say
what a request costs if every one brings a new token, and if every one has a UUID in its path and a query.
bearerwatch writes its full event to a spool, and the events are counted afterwards. The *floor* writes to the same
file system: an id, one HMAC-SHA-256 of the token, one record of the same fields encoded by msgspec, one `write` with
`O_APPEND`, and nothing else. The limit is 1.5 times the floor of the same run.

django-guid, flask-log-request-id and asgi-correlation-id set an id and write no event. django-structlog writes JSON
to a file. OpenTelemetry runs without a provider's work (no-op) and with the SDK, a batching processor and an in-memory
exporter; on Flask and Starlette it is its WSGI and ASGI middleware."""

_LIMIT = 1.5
_FRESH = "bearerwatch, new tokens"
_ODD = "bearerwatch, long paths"
_MORE = {_FRESH: FRESH, _ODD: ODD}
_CHUNKS = 5
"""Chunks of a slice, which is what one variant does before it is the next one's turn."""
_SIZE = 50
"""Requests of a chunk."""
_SLICE = (2 + _CHUNKS) * _SIZE
"""Requests the variant serves in a slice, with those that warm it up again."""
_WARM_UP = 300
"""Requests before the first round."""


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure the frameworks named by *ids*."""
    repeats, rounds, slices = (1, 9, 2) if quick else (3, 9, 6)
    for name in ids:
        yield _framework(name.removeprefix("middleware."), repeats, rounds, slices)


def _framework(framework: str, repeats: int, rounds: int, slices: int) -> Measured:
    variants = ("bare", *importlib.import_module(f"bench._web.{framework}").VARIANTS)
    wall: dict[str, list[float]] = {variant: [] for variant in (*variants, *_MORE)}
    cpu: dict[str, list[float]] = {variant: [] for variant in (*variants, *_MORE)}
    bare: list[float] = []
    for _ in range(repeats):
        for variant, times in _repeat(framework, variants, rounds * slices).items():
            plain, watched = zip(*times["bare"], strict=True), zip(*times["watched"], strict=True)
            for kept, before, after in zip((wall, cpu), plain, watched, strict=True):
                kept[variant].append((median(after) - median(before)) / _SIZE / 1000)
            bare.append(median(spent for _, spent in times["bare"]) / _SIZE / 1000)
    added = {variant: round(median(values), 1) for variant, values in cpu.items()}
    noise = added.pop("bare")
    ours = added.pop("bearerwatch")
    fresh, odd = added.pop(_FRESH), added.pop(_ODD)
    spread = {name: f"{min(cpu[name]):.1f} to {max(cpu[name]):.1f} µs" for name in ("bearerwatch", "floor")}
    how = (
        f"bare {median(bare):.1f} µs; {repeats} x {rounds} rounds of {slices * _CHUNKS * _SIZE} requests; "
        f"A/A {noise:+.1f} µs; repetitions of ours {spread['bearerwatch']}, of the floor {spread['floor']}; "
        f"by the wall clock ours {median(wall['bearerwatch']):.1f} µs, floor {median(wall['floor']):.1f} µs; "
        f"where no token has been seen before, ours {fresh:.1f} µs; with a UUID in the path and a query, {odd:.1f} µs"
    )
    row = Row(
        id=f"middleware.{framework}",
        unit="µs",
        ours=ours,
        peers=added,
        limit=round(_LIMIT * added["floor"], 1),
    )
    return Measured(row=row, how=how)


def _repeat(framework: str, variants: tuple[str, ...], slices: int) -> dict[str, dict[str, list[tuple[int, int]]]]:
    times: dict[str, dict[str, list[tuple[int, int]]]] = {
        variant: {"bare": [], "watched": []} for variant in (*variants, *_MORE)
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bearerwatch-bench-")))
        workers = {variant: stack.enter_context(_worker(framework, variant, folder)) for variant in variants}
        for number in range(slices):
            turn = list(workers.items())
            for variant, worker in turn[number % len(turn) :] + turn[: number % len(turn)]:
                for name, values in ask(worker, f"{_CHUNKS} {_SIZE} {USUAL}").items():
                    times[variant][name] += values
        for variant, kind in _MORE.items():
            for _ in range(slices // 6):
                for name, values in ask(workers["bearerwatch"], f"{_CHUNKS} {_SIZE} {kind}").items():
                    times[variant][name] += values
        _counted(folder / "bearerwatch" / "spool", _WARM_UP + (slices + len(_MORE) * (slices // 6)) * _SLICE)
        _counted(folder / "floor", _WARM_UP + slices * _SLICE)
    return times


def _counted(folder: Path, served: int) -> None:
    """Fail unless there are as many events as requests: a middleware that drops events is quick."""
    lines = sum(file.read_bytes().count(b"\n") for file in folder.rglob("*.jsonl"))
    if lines != served:
        raise RuntimeError(f"{served} requests left {lines} events in {folder.parent.name}; see what was said above")


@contextmanager
def _worker(framework: str, variant: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    own = folder / variant.replace(" ", "-")
    own.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BEARERWATCH_", "OTEL_"))},
        "BEARERWATCH_SERVICE": "bench",
        "BEARERWATCH_STATE": str(own),
        "BEARERWATCH_KEYS": secrets.token_hex(32),
        "PYTHONHASHSEED": "0",
    }
    command = [sys.executable, "-m", "bench._worker", framework, variant, str(own)]
    with answering(f"{variant} on {framework}", command, environment) as process:
        yield process
