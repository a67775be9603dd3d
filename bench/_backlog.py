"""A backlog in a spool, and a collector's pipeline that works it off: ``python -m bench._backlog <folder> <events>``.

What is in the spool was written by the application side's own sink. Tokens and addresses are drawn by Zipf's law, nine
requests in ten are let in, and the events are spread over the time in which a given rate would have made them, the last
one just now.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bearerwatch.alert.router import Router
from bearerwatch.detect.detector import Detector
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.event import FAILURES, AuthEvent, Kind, Outcome
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.geo import Geo
from bearerwatch.ingest.intake import Intake
from bearerwatch.ingest.quarantine import Quarantine
from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.redact.gate import PREFILTER
from bearerwatch.server.pipeline import Pipeline
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.store.engine import connect
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, default_url

__all__ = ["Worked", "make", "work_off"]

_SERVICES = ("orders", "accounts", "search")
_TOKENS, _ADDRESSES = 100_000, 60_000
_LINES, _PENDING = 20_000, 40_000
"""Lines a round and rows a commit, as the collector has them."""
_OUTCOMES: tuple[tuple[Outcome, int, str | None, float], ...] = (
    (Outcome.SUCCESS, 200, None, 0.90),
    (Outcome.ANONYMOUS, 200, None, 0.02),
    (Outcome.EXPIRED, 401, "past_exp", 0.03),
    (Outcome.MISSING, 401, None, 0.02),
    (Outcome.FORBIDDEN, 403, "object_forbidden", 0.01),
    (Outcome.INVALID, 401, "bad_signature", 0.015),
    (Outcome.ERROR, 500, "exception", 0.005),
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
_AGENTS = tuple(f"shop-client/{major}.{minor} (iPhone; iOS 18.{minor})" for major in range(3, 7) for minor in range(40))


class Worked(NamedTuple):
    """What working off took."""

    events: int
    cpu_seconds: float
    """Of the whole process, system time included."""
    ticks: list[float]
    """Seconds each round took, commits included."""
    resident_mb: float
    """The most memory the process had until then."""
    stages: dict[str, float]
    """Processor microseconds an event: reading and decoding, loading and detecting, committing."""


def _zipf(draw: random.Random, among: int, count: int) -> list[int]:
    ranks = list(itertools.accumulate(1 / rank for rank in range(1, among + 1)))
    return draw.choices(range(among), cum_weights=ranks, k=count)


def make(spool: Path, events: int, *, rate: int = 100_000, seed: int = 7, services: Sequence[str] = _SERVICES) -> None:
    """Write *events* into *spool*, the last one just now, *rate* of them a second of event time."""
    draw = random.Random(seed)
    sinks = [SpoolSink(spool / service, quota=1 << 40) for service in services]
    began = datetime.now(UTC) - timedelta(seconds=events / rate)
    tokens = [
        (f"k1a2b3c4d:{draw.getrandbits(128):032x}", f"sub:k1a2b3c4d:{draw.getrandbits(128):032x}")
        for _ in range(_TOKENS)
    ]
    addresses = [
        f"{draw.choice((81, 93, 151, 203))}.{n >> 8 & 255}.{n & 255}.{draw.randrange(1, 255)}"
        for n in range(_ADDRESSES)
    ]
    odds = list(itertools.accumulate(odd for *_, odd in _OUTCOMES))
    try:
        for start in range(0, events, 10_000):
            count = min(10_000, events - start)
            kinds = draw.choices(_OUTCOMES, cum_weights=odds, k=count)
            drawn = zip(kinds, _zipf(draw, _TOKENS, count), strict=True)
            for number, ((outcome, status, reason, _), common) in enumerate(drawn, start):
                # what goes wrong goes wrong anywhere; a client with most of it is an attack
                token = draw.randrange(_TOKENS) if outcome in FAILURES else common
                address = token % _ADDRESSES  # who has the token; some live under one roof
                ts = began + timedelta(seconds=number / rate)
                ident = f"{int(ts.timestamp() * 1000):012x}{draw.getrandbits(80):020x}"
                ident = f"{ident[:8]}-{ident[8:12]}-7{ident[13:16]}-{ident[16:20]}-{ident[20:]}"
                method, route = draw.choice(_ROUTES)
                named = outcome not in {Outcome.ANONYMOUS, Outcome.MISSING}
                who, subject = tokens[token]
                sinks[number % len(sinks)].send(
                    AuthEvent(
                        kind=Kind.AUTH,
                        event_id=ident,
                        ts=ts,
                        outcome=outcome,
                        reason=reason,
                        verified=outcome is Outcome.SUCCESS,
                        status=status,
                        duration_us=int(draw.lognormvariate(9, 0.8)),
                        service=services[number % len(sinks)],
                        instance="host-4711",
                        method=method,
                        route=route,
                        path=route.replace("{id}", str(draw.randrange(100_000))),
                        token_id=who if named else None,
                        presented_id=who[::-1][:32].join(("k1a2b3c4d:", "")) if named else None,
                        scheme="bearer" if named else None,
                        token_kind="jwt" if named else None,
                        token_source="header" if named else None,
                        subject_id=subject if named else None,
                        client_id="shop" if named else None,
                        issuer="https://issuer.example" if named else None,
                        scopes="orders:read orders:write" if named else None,
                        expires_at=int(ts.timestamp()) + 3_600 if named else None,
                        client_ip=addresses[address],
                        peer_ip="10.0.0.7",
                        user_agent=_AGENTS[token % len(_AGENTS)],
                        request_id=ident,
                    )
                )
    finally:
        for sink in sinks:
            sink.close()


def work_off(
    spools: Sequence[Path],
    folder: Path,
    rules: Sequence[Rule] = (),
    *,
    mmdb: Sequence[Path] = (),
    most: int | None = None,
) -> Worked:
    """Read *spools* to their end (or *most* events of them) through a collector's pipeline in *folder*."""
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        state = stack.enter_context(closing(State(default_url(folder))))
        state.migrate()
        con = stack.enter_context(closing(connect(folder / "tmp")))
        lake = Lake(folder / "lake", state, con)
        lake.sweep_orphans()
        detector = Detector(rules, con, lake, state)
        detector.restore(datetime.now(UTC))
        geo = stack.enter_context(closing(Geo(mmdb, scratch=folder / "tmp"))) if mmdb else None
        decoder = Decoder(geo)
        pipeline = Pipeline(
            state,
            tails=[stack.enter_context(closing(SpoolTail(spool, state, spools=len(spools)))) for spool in spools],
            intake=Intake(state),
            decoder=decoder,
            quarantine=Quarantine(folder / "quarantine"),
            lake=lake,
            detector=detector,
            router=Router(()),
        )
        PREFILTER.ready()  # where the accel extra is: it takes a second of a core, once
        ticks: list[float] = []
        stages = dict.fromkeys(("read", "advance", "commit"), 0.0)
        first = time.process_time()
        more = True
        while more and (most is None or decoder.counts["accepted"] < most):
            at, now = time.process_time(), datetime.now(UTC)
            more = pipeline.read(now, _LINES)
            detector.read_up_to(now, behind=pipeline.lag if more else 0.0)
            read = time.process_time()
            pipeline.advance(now)
            advanced = time.process_time()
            if pipeline.pending >= _PENDING or pipeline.urgent or not more:
                pipeline.commit(now)
            done = time.process_time()
            ticks.append(done - at)
            for stage, spent in (("read", read - at), ("advance", advanced - read), ("commit", done - advanced)):
                stages[stage] += spent
        spent = time.process_time() - first
        events = decoder.counts["accepted"]
        per_event = {stage: seconds / max(events, 1) * 1e6 for stage, seconds in stages.items()}
        return Worked(events, spent, ticks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, per_event)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("events", type=int)
    parser.add_argument("--rules", action="store_true", help="with the rules of the package")
    parser.add_argument("--mmdb", type=Path, action="append", default=[])
    given = parser.parse_args()
    spool = given.folder / "spool"
    make(spool, given.events)
    worked = work_off([spool], given.folder / "state", load_rules(None) if given.rules else (), mmdb=given.mmdb)
    ticks = sorted(worked.ticks)
    told = {
        "events": worked.events,
        "per_second": round(worked.events / worked.cpu_seconds),
        "microseconds": {stage: round(value, 2) for stage, value in worked.stages.items()},
        "tick_p50_ms": round(ticks[len(ticks) // 2] * 1e3),
        "tick_max_ms": round(ticks[-1] * 1e3),
        "resident_mb": round(worked.resident_mb),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    _main()
